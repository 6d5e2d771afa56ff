// The shop: what is shown, what is clicked, and the live list beside it.

import * as api from "./api.js";
import * as view from "./view.js";
import { anyone, become, nameOf, newEvent, save, takeBack, visitor } from "./visitor.js";

const COUNT = 8;
const WORDS = { view: "looked at", cart: "put into the cart:", remove_from_cart: "took out of the cart:", purchase: "bought" };
const at = (id) => document.getElementById(id);
let shown = null; // the live list
let takesEvents = true; // whether this shop's layout can hold posted events
let ledHere = null; // the list whose product was clicked last
let moment = 0; // counts what is shown: an answer that comes late is not
let drawn = null; // the moment that the page shows
let lists = 0; // counts lists that were asked for, for the same
let isOpened = performance.getEntriesByType("navigation")[0]?.type === "navigate"; // by an address, not again

async function refresh(clicked) {
  const session = visitor.events.map(({ type, id, time }) => ({ event_type: type, product_id: id, event_time: time }));
  const body = { user_id: visitor.user, count: COUNT, ...(!takesEvents && { session: session.slice(-100) }) };
  lists += 1;
  const mine = lists;
  const list = await api.recommend(body);
  if (mine !== lists) return;
  const before = shown?.products.map((product) => product.product_id);
  at("list").replaceChildren(...view.places(list, before));
  const fresh = list.products.filter((product) => before && !before.includes(product.product_id)).length;
  at("changes").textContent = before == null ? "" : fresh ? `${fresh} of ${list.products.length} are new` : "nothing is new";
  at("model").textContent = list.model_version;
  if (clicked) at("freshness").textContent = `${Math.round(performance.now() - clicked)} ms`;
  shown = list;
}

function showSession() {
  at("user").value = visitor.user;
  at("cart-count").textContent = visitor.cart.length;
  at("hits").textContent = visitor.clicks ? `${visitor.hits} of ${visitor.clicks}` : "–";
  const lines = visitor.events.map(({ type, name, time }) =>
    view.element("li", {}, view.element("time", { datetime: time }, new Date(time).toLocaleTimeString()), ` ${WORDS[type]} ${name}`),
  );
  at("events").replaceChildren(...lines.reverse());
  at("events").reversed = true;
}

// Post what was done, and show what the list is now; what is refused is taken back.
async function done(type, products, recommendation) {
  const clicked = performance.now();
  const by = visitor;
  const events = products.map((product) => newEvent(type, product, recommendation));
  showSession();
  try {
    if (takesEvents) await api.send({ events });
  } catch (problem) {
    if (problem.status !== 501) {
      if (by === visitor) takeBack(type, products, events);
      showSession();
      if (type !== "view") await route(false);
      throw problem;
    }
    takesEvents = false;
    say(`This shop takes no posted events (${problem.message}); lists go by the session that the page sends.`);
  }
  await refresh(clicked);
}

const inCart = (product) => visitor.cart.some((other) => other.product_id === product.product_id);

async function toggleCart(product) {
  await Promise.all([done(inCart(product) ? "remove_from_cart" : "cart", [product]), route(false)]);
}

async function buy() {
  const bought = visitor.cart;
  await done("purchase", bought);
  show("Thank you", view.element("p", {}, `Bought: ${bought.map(nameOf).join(", ")}. None of it is in the lists any more.`));
}

function show(title, ...content) {
  drawn = moment;
  at("title").textContent = title;
  document.title = `${title}: Vitrine`;
  at("view").replaceChildren(...content);
}

async function showProducts(title, query) {
  const page = 24;
  const mine = moment;
  const first = await api.products({ ...query, count: page });
  if (mine !== moment) return;
  const found = view.grid(first.products);
  const more = view.element("button", { type: "button", class: "quiet more" }, "Show more");
  let reached = first.products.length;
  more.hidden = reached >= first.total;
  more.addEventListener("click", guarded(async () => {
    const next = await api.products({ ...query, count: page, offset: reached });
    const rest = view.grid(next.products);
    const focused = rest.querySelector("a");
    found.append(...rest.children);
    reached += next.products.length;
    more.hidden = reached >= next.total || !next.products.length;
    focused?.focus();
  }));
  const number = first.total === 1 ? "1 product" : `${first.total.toLocaleString()} products, the most popular first`;
  show(title, view.element("p", { class: "note" }, first.total ? number : "No product fits."), found, more);
}

async function showProduct(id, isNew) {
  const mine = moment;
  const beside = shown; // as the address was followed
  const product = await api.product(id).catch((problem) => {
    if (problem.status !== 404) throw problem;
    return null;
  });
  if (mine !== moment) return;
  if (!product) {
    const back = view.element("a", { href: "#/" }, "Back to the popular products");
    show("No such product", view.element("p", {}, `This shop has no product “${id}”. `, back));
    return;
  }
  if (isNew) {
    visitor.clicks += beside != null;
    visitor.hits += Boolean(beside?.products.some((place) => place.product_id === id));
    save();
  }
  const others = view.element("div");
  const detail = view.one(product, inCart(product), guarded(() => toggleCart(product)));
  show(nameOf(product), detail, view.element("h2", {}, "Goes with this"), others);
  const led = ledHere;
  ledHere = null;
  const similar = api.similar(id).then((list) => {
    if (mine === moment) others.replaceChildren(view.grid(list.products, list.recommendation_id));
  });
  await Promise.all([similar, isNew && done("view", [product], led)]);
}

function showCart() {
  if (!visitor.cart.length) return show("Cart", view.element("p", {}, "The cart is empty."));
  const total = visitor.cart.reduce((sum, product) => sum + (product.price ?? 0), 0);
  const button = view.element("button", { type: "button", onclick: guarded(buy) }, `Buy for ${total.toFixed(2)}`);
  show("Cart", view.cartLines(visitor.cart, guarded(toggleCart)), button);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand
  }
}

function asked() {
  const [, kind, ...rest] = location.hash.split("/");
  return [kind, decoded(rest.join("/"))];
}

function markCategory() {
  const [kind, name] = asked();
  for (const link of at("categories").querySelectorAll("a")) {
    if (kind === "category" && link.dataset.category === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// What the address names; `isNew` if it was followed just now, and not drawn again.
async function route(isNew = true) {
  moment += 1;
  const [kind, name] = asked();
  markCategory();
  if (kind === "product" && name) await showProduct(name, isNew);
  else if (kind === "category") await showProducts(name, { category: name });
  else if (kind === "search") await showProducts(`Search: ${name}`, { search: name });
  else if (kind === "cart") showCart();
  else await showProducts("Popular products", {});
}

function say(text, bad = false) {
  at("note").textContent = text;
  at("note").className = bad ? "note bad" : "note";
}

// Said where the id was entered: another one is all that helps.
function refuseVisitor(refused) {
  const words = `“${visitor.user}” can't be a visitor of this shop, so nothing you do is kept. A number can, such as ${anyone()}.`;
  at("refused").textContent = refused ? words : "";
  at("user").setAttribute("aria-invalid", refused);
}

// A handler that says what went wrong, and asks for keys where they are what is missing.
function guarded(work) {
  return async (...given) => {
    const by = visitor;
    try {
      await work(...given);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (problem.isAbout("user_id")) {
        if (by !== visitor) return; // another one is here by now
        refuseVisitor(true);
      } else say(problem.message, true);
      if (drawn !== moment) show("Nothing to show", view.element("p", {}, problem.message));
      if (problem.status === 401 || problem.status === 403) at("keys").showModal();
    }
  };
}

async function start() {
  showSession();
  refuseVisitor(false);
  const mine = moment;
  const { categories } = await api.categories();
  const links = categories.map(({ category, products }) =>
    view.element(
      "li",
      {},
      view.element(
        "a",
        { href: `#/category/${encodeURIComponent(category)}`, "data-category": category },
        category,
        view.element("small", {}, products.toLocaleString()),
      ),
    ),
  );
  at("categories").replaceChildren(...links);
  markCategory();
  const isNew = isOpened;
  isOpened = false;
  await Promise.all([refresh(), mine === moment && route(isNew)]); // a click since then is not drawn over
}

function startAnew() {
  moment += 1; // what the visitor before has asked for is not drawn
  shown = null;
  guarded(start)();
}

addEventListener("hashchange", guarded(async () => {
  say("");
  if (location.hash === "#main") return; // the skip link
  await route();
  at("title").focus({ preventScroll: true });
  scrollTo(0, 0);
}));
addEventListener("click", (event) => {
  ledHere = event.target.closest?.("a[data-list]")?.dataset.list ?? null;
});
at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#/search/${encodeURIComponent(at("words").value.trim())}`;
});
at("visitor").addEventListener("submit", (event) => {
  event.preventDefault();
  become(at("user").value.trim());
  startAnew();
});
at("stranger").addEventListener("click", () => {
  become();
  startAnew();
});
at("keys").addEventListener("close", guarded(async () => {
  api.useKeys(at("read").value, at("write").value);
  await start();
}));
startAnew();
