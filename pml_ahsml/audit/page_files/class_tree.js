// The class tree: groups that open, and classes that show their samples.

function showTree(onClass) {
  byId("tree-panel").hidden = !DATA.tree.length;
  if (!DATA.tree.length) return;
  const counts = new Map(DATA.classes.map(([k, size, doubted]) => [k, [size, doubted]]));
  // each group stands after the group that holds it
  const totals = DATA.tree.map(() => [0, 0, []]);
  for (let g = DATA.tree.length - 1; g >= 0; g -= 1) {
    const [groups, classes] = DATA.tree[g];
    for (const k of classes) {
      const [size, doubted] = counts.get(k);
      totals[g][0] += size;
      totals[g][1] += doubted;
      totals[g][2].push(k);
    }
    for (const inner of groups) {
      totals[g][0] += totals[inner][0];
      totals[g][1] += totals[inner][1];
      // a group is known by its three largest classes
      totals[g][2].push(...totals[inner][2]);
    }
    totals[g][2].sort((a, b) => counts.get(b)[0] - counts.get(a)[0]);
    totals[g][2].length = Math.min(3, totals[g][2].length);
  }

  const share = ([size, doubted]) => {
    const value = size ? doubted / size : 0;
    return [bar(value), make("span", { class: "quiet tree-share" }, roundedPercent(value))];
  };
  const leaf = (k) =>
    make(
      "li",
      { class: "leaf" },
      make(
        "button",
        { type: "button", class: "link", onclick: () => onClass(k) },
        nameOf(className(k)),
      ),
      ...share(counts.get(k)),
    );
  // what is inside is made when a group is opened for the first time
  const branch = (g) => {
    const [groups, classes, size] = DATA.tree[g];
    const names = totals[g][2].flatMap((k, place) => [
      place ? ", " : "",
      nameOf(cut(className(k), 32)),
    ]);
    const more = size > totals[g][2].length ? ` + ${number(size - totals[g][2].length)}` : "";
    const details = make(
      "details",
      {},
      make(
        "summary",
        {},
        make(
          "span",
          { class: "branch-names" },
          make("span", {}, ...names, make("span", { class: "quiet" }, more)),
        ),
        ...share(totals[g]),
      ),
    );
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(inside(g));
    });
    return make("li", {}, details);
  };
  const inside = (g) => {
    const [groups, classes] = DATA.tree[g];
    return make("ul", { class: "tree" }, ...groups.map(branch), ...classes.map(leaf));
  };
  byId("tree").append(inside(0));
}
