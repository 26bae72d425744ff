// Makes elements. Text only ever enters through textContent: nothing that a record says can become markup.
export function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === "") continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

// Each level has its own shape as well as its colour and word: red octagon, orange triangle, yellow diamond, blue disc.
const SHAPES = {
  red: "M8.3 2h7.4L22 8.3v7.4L15.7 22H8.3L2 15.7V8.3z",
  orange: "M12 2.5 22.5 21h-21z",
  yellow: "M12 1.5 22.5 12 12 22.5 1.5 12z",
  blue: "M12 2a10 10 0 1 1 0 20 10 10 0 0 1 0-20z",
};

export function shape(level, size = 16) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [k, v] of Object.entries({ viewBox: "0 0 24 24", width: size, height: size, class: `shape ${level}`, "aria-hidden": "true" })) svg.setAttribute(k, v);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", SHAPES[level] ?? SHAPES.blue);
  svg.append(path);
  return svg;
}

// One bar of four parts, longest first level; `most` is the length that fills the width.
export function bar(counts, most) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "bar");
  svg.setAttribute("viewBox", "0 0 100 6");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  let x = 0;
  for (const level of ["red", "orange", "yellow", "blue"]) {
    const width = (100 * (counts[level] ?? 0)) / Math.max(1, most);
    if (width === 0) continue;
    const part = document.createElementNS(SVG, "rect");
    for (const [k, v] of Object.entries({ x, y: 0, width, height: 6, class: `fill ${level}` })) part.setAttribute(k, v);
    svg.append(part);
    x += width;
  }
  return svg;
}
