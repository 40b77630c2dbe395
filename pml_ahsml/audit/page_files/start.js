// Puts the page together: filters, order, and what they show.

const ORDERS = {
  doubt: ["Most doubtful first", (a, b) => (a.card.trust ?? 1) - (b.card.trust ?? 1)],
  confidence: ["Surest suggestion first", (a, b) => (b.card.confidence ?? 0) - (a.card.confidence ?? 0)],
  given: [
    "By given label",
    (a, b) => labelOf(a).localeCompare(labelOf(b), "en", { numeric: true }),
  ],
  index: ["In order of the data", (a, b) => a.card.index - b.card.index],
};

function labelOf(card) {
  return className(DATA.samples[card.card.index].label);
}

function start() {
  loadVerdicts(DATA.cards);
  showTiles();
  showHistogram();

  const cards = DATA.cards.map((card) => new Card(card, onVerdict));
  const holder = byId("cards");
  let pair = null; // [given, suggested] chosen among the confused classes

  const controls = ["search", "filter-class", "filter-kind", "filter-verdict", "sort"].map(byId);
  const [search, byClass, byKind, byVerdict, order] = controls;
  fillControls();

  function fillControls() {
    const counts = new Map();
    for (const { card } of cards) {
      for (const k of new Set([DATA.samples[card.index].label, card.suggested])) {
        counts.set(k, (counts.get(k) ?? 0) + 1);
      }
    }
    const present = [...counts.keys()].sort((a, b) =>
      className(a).localeCompare(className(b), "en", { numeric: true }),
    );
    byClass.append(
      option("", "All classes"),
      ...present.map((k) => option(k, `${apart(cut(className(k), 40))} (${number(counts.get(k))})`)),
    );
    byKind.append(
      option("", "Every doubt"),
      option("doubted", "Label doubted"),
      option("no_class", "Fits no class"),
    );
    byKind.hidden = !cards.some(({ card }) => card.no_class);
    byVerdict.append(
      option("", "All verdicts"),
      option("none", "Not ticked yet"),
      ...VERDICTS.map((verdict) => option(verdict, verdict[0].toUpperCase() + verdict.slice(1))),
    );
    order.append(...Object.entries(ORDERS).map(([key, [text]]) => option(key, text)));
    const { to_look_at: all } = DATA.summary;
    const rest =
      all > cards.length
        ? ` The ${number(cards.length)} most doubtful of ${number(all)} are on this page.`
        : "";
    byId("cards-hint").textContent =
      "Is the given label wrong, right, or can you not tell? On a card the keys W, R and U tick " +
      `it and go on; the arrows go to the next.${rest}`;
  }

  function isShown(card) {
    const { index, suggested, doubted, no_class: noClass } = card.card;
    const given = DATA.samples[index].label;
    const words = search.value.trim().toLowerCase();
    const k = byClass.value === "" ? null : Number(byClass.value);
    return (
      (words === "" || card.words.includes(words)) &&
      (k === null || given === k || suggested === k) &&
      (pair === null || (given === pair[0] && suggested === pair[1])) &&
      (byKind.value === "" || (byKind.value === "doubted" ? doubted : noClass)) &&
      (byVerdict.value === "" || byVerdict.value === (card.verdict || "none"))
    );
  }

  function show() {
    let count = 0;
    for (const card of cards) {
      card.element.hidden = !isShown(card);
      count += !card.element.hidden;
    }
    const which = pair ? `, labelled ${apart(cut(className(pair[0]), 40))}, rather ${apart(cut(className(pair[1]), 40))}` : "";
    const isFiltered = count < cards.length || pair !== null;
    byId("count").textContent = isFiltered
      ? `${number(count)} of ${plural(cards.length, "sample")} shown${which}`
      : plural(cards.length, "sample");
    byId("reset").hidden = !isFiltered;
  }

  function showOrder() {
    holder.append(...[...cards].sort(ORDERS[order.value][1]).map((card) => card.element));
  }

  function showProgress() {
    byId("progress").textContent = `${number(verdicts.size)} of ${number(cards.length)} ticked`;
    byId("download").disabled = verdicts.size === 0;
  }

  // a card that is ticked stays where it is until the filter is used again
  function onVerdict() {
    showProgress();
  }

  function reset() {
    pair = null;
    for (const control of [search, byClass, byKind, byVerdict]) control.value = "";
  }

  function goToCards() {
    show();
    byId("cards-section").scrollIntoView();
    byId("cards-section").focus({ preventScroll: true });
  }

  function showClass(k) {
    reset();
    byClass.value = String(k);
    if (byClass.selectedIndex < 0) {
      // none of its samples is on this page
      byClass.append(option(k, `${apart(cut(className(k), 40))} (0)`));
      byClass.value = String(k);
    }
    goToCards();
  }

  function showPair(given, suggested) {
    reset();
    pair = [given, suggested];
    goToCards();
  }

  showConfusions(showPair);
  showClasses(showClass);
  showTree(showClass);
  showDuplicates();
  search.addEventListener("input", show);
  for (const control of [byClass, byKind, byVerdict]) control.addEventListener("change", show);
  order.addEventListener("change", showOrder);
  byId("reset").addEventListener("click", () => {
    reset();
    show();
  });
  byId("download").addEventListener("click", downloadVerdicts);
  byId("footer").textContent =
    "Back in Python, audit.apply(\"verdicts.csv\") takes the downloaded ticks. They stay in this " +
    "browser until then. Made by pml_ahsml; this page loads nothing and sends nothing.";
  showOrder();
  show();
  showProgress();
}

start();
