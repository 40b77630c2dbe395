// Making elements. Names and texts are data: they only ever become text nodes and attributes.

const DATA = JSON.parse(document.getElementById("data").textContent);

function byId(id) {
  return document.getElementById(id);
}

// an element with attributes, and children that are elements or strings
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function option(value, text) {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = text;
  return element;
}

// a name may be written from right to left, or hold marks of direction: it stands for itself
function nameOf(text, kind = "name") {
  const element = make("bdi", { class: kind, dir: "auto" }, text === "" ? "(no name)" : text);
  if (text.length > 24) element.title = text;
  return element;
}

function className(k) {
  return DATA.class_names[k];
}

function cut(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

// a name within a text: marks of direction in it end with it
function apart(name) {
  return `\u2068${name}\u2069`;
}

function number(value) {
  return value.toLocaleString("en");
}

function percent(share, digits = 0) {
  return share === null ? "not known" : `${(100 * share).toFixed(digits)} %`;
}

// never "0 %" of something that is there, nor "100 %" of what is not all
function roundedPercent(share) {
  if (share === null) return "?";
  if (share > 0 && share < 0.01) return "< 1 %";
  if (share < 1 && share > 0.99) return "> 99 %";
  return percent(share);
}

function plural(count, one, several = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : several}`;
}

// a bar of a share in [0, 1]
function bar(share, kind = "doubt") {
  const fill = make("span", { class: "fill" });
  fill.style.width = `${100 * share}%`;
  return make("span", { class: `bar ${kind}`, "aria-hidden": "true" }, fill);
}

// shows the first rows, and a button that shows more of them
function showInParts(container, rows, makeRow, first, step, kind) {
  let count = 0;
  const more = make("button", { type: "button", class: "more" });
  function show(upTo) {
    container.append(...rows.slice(count, upTo).map(makeRow));
    count = Math.min(upTo, rows.length);
    more.hidden = count >= rows.length;
    more.textContent = `Show more (${number(count)} of ${number(rows.length)} ${kind})`;
  }
  more.addEventListener("click", () => show(count + step));
  show(first);
  return more;
}
