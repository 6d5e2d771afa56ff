// Pieces of the page, made of elements: nothing that the shop's data hold is read as HTML.

import { nameOf } from "./visitor.js";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

// A category breaks after its dots, not inside a word.
const dotted = (text) => text.split(/(?<=\.)/).flatMap((part) => [part, element("wbr")]).slice(0, -1);

const hue = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);

// A tile in the colour of the category stands for a picture.
function picture(product) {
  const tile = element("div", { class: "picture", "aria-hidden": "true" }, nameOf(product).slice(0, 1).toUpperCase());
  tile.style.setProperty("--hue", hue(product.category ?? product.product_id));
  return tile;
}

export const price = (product) => (product.price == null ? "no price" : product.price.toFixed(2));

export const link = (product, list) =>
  element("a", { href: `#/product/${encodeURIComponent(product.product_id)}`, "data-list": list }, nameOf(product));

export function grid(products, list) {
  const cards = products.map((product) =>
    element(
      "li",
      {},
      element(
        "div",
        { class: "product" },
        picture(product),
        link(product, list),
        element("small", {}, ...dotted(product.reason?.text ?? product.category ?? "")),
        element("span", { class: "price" }, price(product)),
      ),
    ),
  );
  return element("ul", { class: "grid" }, ...cards);
}

export function one(product, inCart, toggle) {
  const rows = [["Category", product.category], ["Brand", product.brand], ["Price", price(product)], ["Id", product.product_id]];
  const facts = rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, ...(name === "Category" ? dotted(value ?? "unknown") : [value ?? "unknown"]))]);
  const button = element("button", { type: "button", onclick: toggle }, inCart ? "Remove from cart" : "Add to cart");
  return element(
    "div",
    { class: "one" },
    picture(product),
    element("div", {}, element("dl", {}, ...facts), element("div", { class: "buttons" }, button)),
  );
}

export function cartLines(cart, remove) {
  const lines = cart.map((product) =>
    element(
      "li",
      {},
      link(product),
      element("span", {}, price(product)),
      element("button", { type: "button", class: "quiet", onclick: () => remove(product), "aria-label": `Remove ${nameOf(product)}` }, "Remove"),
    ),
  );
  return element("ul", { class: "lines" }, ...lines);
}

// How a place moved since the list before; null for the first list.
function mark(product, before) {
  if (before == null) return null;
  const was = before.indexOf(product.product_id) + 1;
  if (was === 0) return ["new", "new"];
  if (was === product.rank) return null;
  return was > product.rank ? ["up", `▲ ${was - product.rank}`] : ["down", `▼ ${product.rank - was}`];
}

const SPOKEN = { new: "", up: "places up", down: "places down" };

export function places(list, before) {
  return list.products.map((product) => {
    const [kind, text] = mark(product, before) ?? [];
    const moved = kind && element("span", { class: `mark ${kind}` }, text, element("span", { class: "hidden" }, ` ${SPOKEN[kind]}`));
    return element(
      "li",
      { class: `place ${kind ?? ""}` },
      picture(product),
      link(product, list.recommendation_id),
      moved ?? element("span"),
      element("span", { class: "why" }, ...dotted(product.reason.text)),
    );
  });
}
