// Who clicks, and what was done in this session: kept for the tab, so that a reload changes nothing.

const SAVED = "visitor";

// A number is an id in every shop.
export const anyone = () => String(100_000_000 + Math.floor(Math.random() * 900_000_000));

function fresh(user) {
  return {
    user: user ?? anyone(),
    session: crypto.randomUUID?.() ?? `s-${Date.now()}-${Math.random()}`,
    events: [],
    cart: [],
    led: {},
    clicks: 0,
    hits: 0,
  };
}

export let visitor = { ...fresh(), ...JSON.parse(sessionStorage.getItem(SAVED)) };

export function save() {
  sessionStorage.setItem(SAVED, JSON.stringify(visitor));
}

export function become(user) {
  visitor = fresh(user);
  save();
}

// An event as it is posted; the page keeps the product's name beside it. The list whose product was looked at last is
// named by what follows as well, the cart and the purchase.
export function newEvent(type, product, recommendation) {
  if (type === "view") visitor.led[product.product_id] = recommendation;
  const list = visitor.led[product.product_id];
  const event = {
    event_id: `${visitor.session}-${visitor.events.length}-${Date.now()}`,
    event_type: type,
    product_id: product.product_id,
    user_id: visitor.user,
    user_session: visitor.session,
    event_time: new Date().toISOString(),
    ...(list && { recommendation_id: list }),
    ...(product.category && { category_code: product.category }),
    ...(product.brand && { brand: product.brand }),
    ...(product.price != null && { price: product.price }),
  };
  visitor.events.push({ event_id: event.event_id, type, id: product.product_id, name: nameOf(product), time: event.event_time });
  moveInCart(type === "cart", type === "view" ? [] : [product]);
  save();
  return event;
}

// What was refused has not happened, and the cart is as it was.
export function takeBack(type, products, events) {
  visitor.events = visitor.events.filter((one) => !events.some(({ event_id }) => event_id === one.event_id));
  moveInCart(type !== "cart", type === "view" ? [] : products);
  save();
}

function moveInCart(into, products) {
  const others = visitor.cart.filter((other) => !products.some(({ product_id }) => product_id === other.product_id));
  visitor.cart = into ? [...others, ...products] : others;
}

export function nameOf(product) {
  const kind = product.category?.split(".").at(-1);
  return product.title ?? [product.brand, kind ?? "product", product.product_id].filter(Boolean).join(" ");
}
