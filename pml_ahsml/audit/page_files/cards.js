// Cards: one for each sample to look at.

const NAMED_CLASSES_LIMIT = 3000; // more do not fit into a list to choose from

function sampleTitle(index) {
  const name = DATA.samples[index].name;
  return name === undefined ? `no. ${index}` : name;
}

function thumbnail(index) {
  const sample = DATA.samples[index];
  if (sample.image === undefined) {
    return DATA.has_images ? make("span", { class: "no-picture" }, "no picture") : "";
  }
  const kind = DATA.has_few_pixels ? "pixels" : "";
  return make("img", { src: sample.image, alt: "", class: kind, loading: "lazy", decoding: "async" });
}

function neighbour(index, card) {
  const sample = DATA.samples[index];
  const given = DATA.samples[card.index].label;
  const kind =
    sample.label === given ? "agrees" : sample.label === card.suggested ? "supports" : "other";
  const says = { agrees: "says as labelled", supports: "says as suggested", other: "says another" };
  const parts = [thumbnail(index), nameOf(className(sample.label), "name neighbour-label")];
  if (sample.text !== undefined) parts.push(nameOf(sample.text, "name neighbour-text"));
  return make(
    "li",
    { class: `neighbour ${kind}`, title: `${sampleTitle(index)}: ${says[kind]}` },
    ...parts,
  );
}

function badge(text) {
  return make("span", { class: "badge" }, text);
}

// the classes that a wrong label may be replaced by, the likeliest first
function fillChoices(select, card) {
  if (select.options.length > 1) return;
  const given = DATA.samples[card.index].label;
  const near = card.neighbours.map((j) => DATA.samples[j].label);
  const likely = [...new Set(near)].filter((k) => k !== card.suggested && k !== given);
  const likelySet = new Set([...likely, card.suggested, given]);
  const others = DATA.class_names.length > NAMED_CLASSES_LIMIT ? [] : [...DATA.class_names.keys()];
  others.sort((a, b) => className(a).localeCompare(className(b), "en", { numeric: true }));
  for (const k of [...likely, ...others.filter((k) => !likelySet.has(k))]) {
    select.append(option(k, apart(cut(className(k), 60))));
  }
}

class Card {
  constructor(card, onVerdict) {
    this.card = card;
    this.onVerdict = onVerdict;
    const sample = DATA.samples[card.index];
    const given = className(sample.label);
    const suggested = className(card.suggested);
    this.words = [sample.name, sample.text, given, suggested, String(card.index)]
      .filter((text) => text !== undefined)
      .join("\n")
      .toLowerCase();

    this.buttons = VERDICTS.map((verdict) =>
      make(
        "button",
        {
          type: "button",
          class: `verdict ${verdict}`,
          "aria-pressed": "false",
          "aria-keyshortcuts": verdict[0],
          onclick: () => this.toggle(verdict),
        },
        verdict[0].toUpperCase() + verdict.slice(1),
      ),
    );
    this.choice = make("select", { "aria-label": `Right label of ${cut(sampleTitle(card.index), 60)}` });
    const hasOther = card.suggested !== sample.label;
    this.choice.append(option("", hasOther ? apart(cut(suggested, 60)) : "(not known)"));
    this.choice.addEventListener("focus", () => fillChoices(this.choice, card));
    this.choice.addEventListener("change", () => {
      this.set("wrong", this.choice.value === "" ? null : Number(this.choice.value));
    });
    this.correction = make("label", { class: "correction", hidden: true }, "should be ", this.choice);

    const rather = hasOther ? `, rather ${cut(suggested, 60)}` : "";
    const title = `Sample ${cut(sampleTitle(card.index), 60)}, labelled ${cut(given, 60)}${rather}`;
    this.element = make(
      "article",
      { class: "card", tabindex: "0", "aria-label": title, "data-index": card.index },
      make(
        "div",
        { class: "card-top" },
        thumbnail(card.index),
        make(
          "div",
          { class: "card-head" },
          make("p", { class: "card-name quiet" }, nameOf(sampleTitle(card.index))),
          make(
            "p",
            { class: "card-labels" },
            make("span", { class: "key" }, "labelled "),
            nameOf(given, "name given"),
            make("br"),
            make("span", { class: "key" }, hasOther ? "rather " : "no other class fits better"),
            ...(hasOther ? [nameOf(suggested, "name suggested")] : []),
          ),
        ),
      ),
      ...(sample.text === undefined ? [] : [make("blockquote", {}, nameOf(sample.text, "name text"))]),
      make(
        "p",
        { class: "card-facts quiet" },
        `trust ${roundedPercent(card.trust)} · suggestion ${roundedPercent(card.confidence)}`,
        ...(card.no_class ? [" ", badge("fits no class")] : []),
      ),
      this.makeNeighbours(),
      make(
        "div",
        { class: "card-verdict", role: "group", "aria-label": "The given label is" },
        ...this.buttons,
        this.correction,
      ),
    );
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.show();
  }

  makeNeighbours() {
    const { near, agree, support, neighbours } = this.card;
    if (!near) return make("p", { class: "quiet" }, "No neighbours.");
    const hasOther = this.card.suggested !== DATA.samples[this.card.index].label;
    const also = hasOther ? `, ${number(support)} as suggested` : "";
    const says = `Of ${plural(near, "neighbour")}, ${number(agree)} labelled the same${also}:`;
    return make(
      "div",
      { class: "card-near" },
      make("p", { class: "quiet" }, says),
      make("ul", { class: "neighbours" }, ...neighbours.map((j) => neighbour(j, this.card))),
    );
  }

  get verdict() {
    return verdicts.get(this.card.index)?.verdict ?? "";
  }

  set(verdict, label = null) {
    verdicts.set(this.card.index, { verdict, label });
    this.changed();
  }

  toggle(verdict) {
    if (this.verdict === verdict) {
      verdicts.delete(this.card.index);
      this.changed();
    } else {
      this.set(verdict);
    }
  }

  changed() {
    this.show();
    storeVerdicts();
    this.onVerdict(this);
  }

  show() {
    const said = verdicts.get(this.card.index);
    for (const [place, button] of this.buttons.entries()) {
      button.setAttribute("aria-pressed", String(VERDICTS[place] === this.verdict));
    }
    for (const verdict of VERDICTS) this.element.classList.toggle(verdict, verdict === this.verdict);
    this.correction.hidden = this.verdict !== "wrong";
    if (said !== undefined && said.label !== null) {
      fillChoices(this.choice, this.card);
      // stored by another version of the page, the class may not be there
      this.choice.value = String(said.label);
      if (this.choice.selectedIndex < 0) this.choice.value = "";
    } else {
      this.choice.value = "";
    }
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === this.choice) return;
    const verdict = VERDICTS.find((name) => name[0] === event.key.toLowerCase());
    if (verdict !== undefined) {
      event.preventDefault();
      const isSet = this.verdict !== verdict;
      const next = visibleCard(this.element, 1);
      this.toggle(verdict);
      if (isSet && next) next.focus();
    } else if (event.target === this.element && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      event.preventDefault();
      visibleCard(this.element, event.key === "ArrowRight" ? 1 : -1)?.focus();
    }
  }
}

function visibleCard(element, direction) {
  const side = direction > 0 ? "nextElementSibling" : "previousElementSibling";
  let other = element[side];
  while (other && other.hidden) other = other[side];
  return other;
}
