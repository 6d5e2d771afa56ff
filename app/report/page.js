"use strict";
// Tables that sort, charts that answer, sections that fold. Without it the page is whole and still.

// What a cell is ordered by: a number with its unit, else words; null where nothing is known.
const SIZES = { "": 1, "%": 1, k: 1e3, M: 1e6, G: 1e9, s: 1, min: 60, h: 3600, d: 86400 };
const NUMBER = /^([<>]?)\s*([-−]?[\d,]*\.?\d+)\s?(%|k|M|G|s|min|h|d)?(\s*[(\n][^]*)?$/;
const TIME = /^(\d+) (min|h) (\d+) (s|min)$/;

function rank(text) {
  const time = TIME.exec(text);
  if (time) return time[1] * SIZES[time[2]] + time[3] * SIZES[time[4]];
  const found = NUMBER.exec(text);
  if (!found) return text;
  const value = Number(found[2].replaceAll(",", "").replace("−", "-")) * SIZES[found[3] ?? ""];
  return value + { "<": -1e-9, ">": 1e-9, "": 0 }[found[1]];
}

function sortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (rows.length < 2) return;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const cells = new Map(rows.map((row) => [row, row.cells[column].textContent.trim()]));
    const known = rows.filter((row) => !["", "–"].includes(cells.get(row)));
    const keys = new Map(known.map((row) => [row, rank(cells.get(row))]));
    const numeric = known.every((row) => typeof keys.get(row) === "number");
    const order = numeric
      ? (one, other) => keys.get(one) - keys.get(other)
      : (one, other) => cells.get(one).localeCompare(cells.get(other), undefined, { numeric: true });
    const turns = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const turn = turns[(turns.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", turn);
      const sorted = [...known].sort((one, other) => (turn === "descending" ? -1 : 1) * order(one, other));
      // What is not known comes last, whichever way; at the third turn all is as it was.
      body.append(...(turn === "none" ? rows : [...sorted, ...rows.filter((row) => !keys.has(row))]));
    });
  });
}

const tip = document.createElement("div");
tip.className = "tooltip";
tip.setAttribute("role", "status");
document.body.append(tip);
let told = null;

function tell(area, x, y) {
  told?.classList.remove("on");
  told = area;
  tip.classList.toggle("shown", area !== null);
  if (area === null) return;
  area.classList.add("on");
  if (tip.textContent !== area.dataset.says) tip.textContent = area.dataset.says;
  const beside = x + 16 + tip.offsetWidth > innerWidth ? x - 12 - tip.offsetWidth : x + 16;
  const below = y + 16 + tip.offsetHeight > innerHeight ? y - 12 - tip.offsetHeight : y + 16;
  tip.style.left = `${Math.max(beside, 4)}px`;
  tip.style.top = `${Math.max(below, 4)}px`;
}

function answering(svg) {
  const areas = [...svg.querySelectorAll(".tip")];
  svg.querySelector(":scope > title").remove(); // its label says the same, and the browser would show it over ours
  for (const area of areas) {
    const title = area.querySelector("title");
    area.dataset.says = title.textContent;
    title.remove();
  }
  svg.addEventListener("pointermove", (event) => tell(event.target.closest(".tip"), event.clientX, event.clientY));
  svg.addEventListener("pointerleave", () => tell(null));
  const frame = svg.parentElement;
  frame.addEventListener("blur", () => tell(null));
  frame.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own: Alt and Left goes back
    const at = areas.indexOf(told);
    const goes = { ArrowRight: at + 1, ArrowLeft: at < 0 ? areas.length - 1 : at - 1, Home: 0, End: areas.length - 1 };
    if (event.key === "Escape") tell(null);
    const area = areas[goes[event.key]];
    if (area === undefined) return;
    event.preventDefault();
    area.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = area.getBoundingClientRect();
    tell(area, box.x + box.width / 2, box.y + box.height / 2);
  });
}

const sections = [...document.querySelectorAll("details.section")];

function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  if (target === null) return;
  target.querySelector("details.section").open = true;
  target.scrollIntoView();
}

const all = document.createElement("button");
all.type = "button";
function relabel() {
  all.textContent = sections.some((section) => section.open) ? "Fold all" : "Open all";
}
all.addEventListener("click", () => {
  const open = !sections.some((section) => section.open);
  for (const section of sections) section.open = open;
});
for (const section of sections) section.addEventListener("toggle", relabel);
relabel();
document.querySelector("nav").append(all);
document.querySelector("nav").addEventListener("click", (event) => {
  if (event.target.hash && event.target.hash === location.hash) unfold(); // a link to where one is changes nothing
});
addEventListener("hashchange", unfold);

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details.section:not([open]), details.whole:not([open])")];
  for (const details of folded) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false;
});

document.querySelectorAll("table").forEach(sortable);
document.querySelectorAll("svg").forEach(answering);
unfold();
