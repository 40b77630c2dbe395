// The numbers of the audit: tiles, histogram, confused classes, classes, near-duplicates.

function tile(value, label, ...more) {
  return make(
    "div",
    { class: "tile" },
    make("p", { class: "tile-label" }, label),
    make("p", { class: "tile-value" }, value),
    ...more,
  );
}

function intervalBar(rate, [low, high]) {
  const width = 300;
  const end = [0.1, 0.2, 0.5, 1].find((share) => share >= Math.min(1, 1.2 * high));
  const at = (share) => (share / end) * width;
  return makeSvg(
    "svg",
    { viewBox: `-4 0 ${width + 8} 30`, class: "interval", "aria-hidden": "true" },
    makeSvg("rect", { x: 0, y: 5, width, height: 6, rx: 3, class: "track" }),
    makeSvg("rect", {
      x: at(low), y: 5, width: Math.max(3, at(high) - at(low)), height: 6, rx: 3, class: "band",
    }),
    makeSvg("rect", { x: at(rate) - 1, y: 1, width: 2, height: 14, class: "point" }),
    ...[0, end / 2, end].map((share) => {
      const anchor = share === 0 ? "start" : share === end ? "end" : "middle";
      const text = makeSvg("text", { x: at(share), y: 27, "text-anchor": anchor });
      text.textContent = percent(share);
      return text;
    }),
  );
}

function showTiles() {
  const summary = DATA.summary;
  const [low, high] = summary.interval;
  byId("subtitle").textContent =
    `${plural(summary.samples, "sample")} in ${plural(DATA.class_names.length, "class", "classes")}`;
  const isKnown = summary.noise_rate !== null && low !== null && high !== null;
  const small = (text) => make("p", { class: "tile-note" }, text);
  const rate = isKnown
    ? [
        small(`90 % interval: ${percent(low, 1)} to ${percent(high, 1)}`),
        intervalBar(summary.noise_rate, summary.interval),
      ]
    : [];
  const notJudged = summary.samples - summary.judged;
  const lacking = notJudged ? `; ${number(notJudged)} not judged for lack of evidence` : "";
  byId("tiles").append(
    tile(percent(summary.noise_rate, 1), "Estimated share of wrong labels", ...rate),
    tile(
      number(summary.doubted),
      "Labels doubted",
      small(`of ${number(summary.judged)} judged${lacking}`),
    ),
    tile(
      number(summary.of_no_class),
      "Fit no class",
      small("samples unlike those of every class"),
    ),
    tile(
      number(summary.duplicates),
      "Near-duplicates",
      small("pairs with different labels"),
    ),
  );
}

function showHistogram() {
  const counts = DATA.histogram;
  const [width, height, gap] = [600, 200, 3];
  const step = width / counts.length;
  const top = Math.log1p(Math.max(...counts, 1));
  const bars = counts.map((count, bin) => {
    const size = (height * Math.log1p(count)) / top;
    const from = percent(bin / counts.length);
    const to = percent((bin + 1) / counts.length);
    const title = makeSvg("title");
    title.textContent = `Trust ${from} to ${to}: ${plural(count, "label")}`;
    const kind = bin < counts.length / 2 ? "doubted" : "trusted";
    const place = { x: bin * step + gap / 2, width: step - gap, rx: 2 };
    return makeSvg(
      "g",
      {},
      makeSvg("rect", { ...place, y: height - size, height: size, class: kind }),
      makeSvg("rect", { ...place, y: 0, height, class: "hover" }, title),
    );
  });
  const labels = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    const text = makeSvg("text", { x: share * width, y: height + 18, "text-anchor": anchor });
    text.textContent = percent(share);
    return text;
  });
  const below = counts.slice(0, counts.length / 2).reduce((sum, count) => sum + count, 0);
  const judged = counts.reduce((sum, count) => sum + count, 0);
  byId("histogram").append(
    makeSvg(
      "svg",
      {
        viewBox: `0 0 ${width} ${height + 24}`,
        class: "histogram",
        role: "img",
        "aria-label": `Histogram of trust: ${number(below)} of ${number(judged)} labels below 50 %`,
      },
      makeSvg("line", { x1: 0, x2: width, y1: height + 0.5, y2: height + 0.5, class: "axis" }),
      ...bars,
      ...labels,
    ),
  );
}

function showConfusions(onPair) {
  const most = Math.max(...DATA.confusions.map((pair) => pair[2]), 1);
  const row = ([given, suggested, count, reverse]) => {
    const back = reverse ? `, ${number(reverse)} the other way` : "";
    return make(
      "li",
      {},
      make(
        "button",
        { type: "button", class: "pair", onclick: () => onPair(given, suggested) },
        make("span", { class: "pair-count" }, number(count)),
        make(
          "span",
          { class: "pair-names" },
          nameOf(className(given), "name given"),
          make("span", { class: "arrow", "aria-label": "rather" }, " → "),
          nameOf(className(suggested), "name suggested"),
          make("span", { class: "quiet" }, back),
        ),
        bar(count / most),
      ),
    );
  };
  if (!DATA.confusions.length) {
    byId("confusions").append(make("p", { class: "quiet" }, "None."));
    return;
  }
  const list = make("ol", { class: "pairs" });
  const more = showInParts(list, DATA.confusions, row, 8, 40, "pairs");
  const left = DATA.num_confusions - DATA.confusions.length;
  const rest = left ? [make("p", { class: "quiet" }, `${plural(left, "pair")} more in audit.confusions().`)] : [];
  byId("confusions").append(list, more, ...rest);
}

const CLASS_COLUMNS = [
  ["Class", ([k]) => className(k)],
  ["Doubted", ([, size, doubted]) => -(size ? doubted / size : -1)],
  ["Labels", ([, size]) => -size],
  ["Rather", ([, , , most]) => (most < 0 ? "\uffff" : className(most))],
  ["Missing", ([, , , , missing]) => -missing],
];

function classRow([k, size, doubted, most, missing], onClass) {
  const share = size ? doubted / size : 0;
  return make(
    "tr",
    {},
    make(
      "th",
      { scope: "row" },
      make(
        "button",
        { type: "button", class: "link", onclick: () => onClass(k) },
        nameOf(className(k)),
      ),
    ),
    make(
      "td",
      { class: "share" },
      bar(share),
      make("span", {}, size ? roundedPercent(share) : "none"),
    ),
    make("td", { class: "number" }, number(size)),
    make("td", { class: "rather" }, ...(most < 0 ? [] : [nameOf(className(most))])),
    make("td", { class: "number" }, missing ? number(missing) : ""),
  );
}

function showClasses(onClass) {
  const body = make("tbody");
  const holder = make("div");
  let rows = DATA.classes;
  const titles = {
    Missing: "samples labelled as other classes that seem to be of this one",
    Rather: "the class suggested most often instead",
  };
  const heads = CLASS_COLUMNS.map(([label, key], column) => {
    const button = make("button", { type: "button", title: titles[label] ?? null }, label);
    const head = make("th", { scope: "col" }, button);
    if (label === "Doubted") head.setAttribute("aria-sort", "descending");
    button.addEventListener("click", () => {
      const isName = column === 0 || column === 3;
      rows = [...rows].sort((a, b) =>
        isName ? key(a).localeCompare(key(b), "en", { numeric: true }) : key(a) - key(b),
      );
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", isName ? "ascending" : "descending");
      show();
    });
    return head;
  });
  function show() {
    const words = byId("class-search").value.trim().toLowerCase();
    const found = words ? rows.filter(([k]) => className(k).toLowerCase().includes(words)) : rows;
    body.replaceChildren();
    holder.replaceChildren(
      showInParts(body, found, (row) => classRow(row, onClass), 10, 100, "classes"),
    );
    if (!found.length) holder.replaceChildren(make("p", { class: "quiet" }, "No such class."));
  }
  byId("class-search").addEventListener("input", show);
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), body);
  byId("classes").append(make("div", { class: "scroll" }, table), holder);
  show();
}

function showDuplicates() {
  byId("duplicates-panel").hidden = !DATA.duplicates.length;
  const row = ([i, j, similarity]) =>
    make(
      "li",
      {},
      thumbnail(i),
      thumbnail(j),
      make(
        "div",
        {},
        ...[i, j].map((index) =>
          make(
            "p",
            { class: "twin" },
            nameOf(className(DATA.samples[index].label), "name strong"),
            " ",
            make("span", { class: "quiet" }, sampleTitle(index)),
          ),
        ),
      ),
      make("span", { class: "quiet similarity", title: "cosine" }, similarity.toFixed(3)),
    );
  const list = make("ul", { class: "twins" });
  const more = showInParts(list, DATA.duplicates, row, 5, 20, "pairs");
  byId("duplicates").append(list, more);
}
