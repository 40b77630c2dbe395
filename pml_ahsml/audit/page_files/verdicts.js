// What the user says of the labels: kept in the browser, and downloaded as a file.

const VERDICTS = ["wrong", "right", "unsure"];
const STORAGE_KEY = `pml_ahsml label audit ${DATA.id}`;

// index of a sample -> { verdict, label }; label is a class, or null for the suggested one
const verdicts = new Map();

function loadVerdicts(cards) {
  const known = new Set(cards.map((card) => card.index));
  let stored = null;
  try {
    stored = JSON.parse(localStorage.getItem(STORAGE_KEY));
  } catch (error) {
    return; // a browser may forbid to keep things, and what it kept may be damaged
  }
  if (!Array.isArray(stored)) return;
  for (const entry of stored) {
    if (!Array.isArray(entry)) continue;
    const [index, verdict, label] = entry;
    const isClass = Number.isInteger(label) && label >= 0 && label < DATA.class_names.length;
    if (known.has(index) && VERDICTS.includes(verdict) && (label === null || isClass)) {
      verdicts.set(index, { verdict, label });
    }
  }
}

function storeVerdicts() {
  const entries = [...verdicts].map(([index, { verdict, label }]) => [index, verdict, label]);
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(entries));
  } catch (error) {
    byId("progress").title = "This browser does not keep them: download before you close the page.";
  }
}

function cell(text) {
  return `"${String(text).replaceAll('"', '""')}"`;
}

// what audit.apply(path) reads
function verdictsAsCsv() {
  const lines = ["index,verdict,label,given,suggested,name"];
  for (const card of DATA.cards) {
    const said = verdicts.get(card.index);
    if (said === undefined) continue;
    const sample = DATA.samples[card.index];
    const given = sample.label;
    let label = "";
    if (said.verdict === "wrong") {
      const right = said.label === null ? card.suggested : said.label;
      label = right === given ? "" : className(right);
    }
    const names = [label, className(given), className(card.suggested), sample.name ?? ""];
    lines.push([card.index, said.verdict, ...names.map(cell)].join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}

function downloadVerdicts() {
  const url = URL.createObjectURL(new Blob([verdictsAsCsv()], { type: "text/csv" }));
  const link = make("a", { href: url, download: "verdicts.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
