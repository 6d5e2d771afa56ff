// Requests to the API, and what the page says when they fail.

export class Problem extends Error {
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }

  // Whether a value of this name is what was wrong.
  isAbout(name) {
    return this.errors.some(({ where }) => where.endsWith(`/${name}`));
  }
}

const keys = { read: sessionStorage.getItem("read-key"), write: sessionStorage.getItem("write-key") };

export function useKeys(read, write) {
  Object.assign(keys, { read, write });
  for (const [name, key] of Object.entries(keys)) sessionStorage.setItem(`${name}-key`, key ?? "");
}

async function ask(path, key, options = {}) {
  const headers = { ...(options.body && { "Content-Type": "application/json" }), ...(key && { Authorization: `Bearer ${key}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch {
    throw new Problem(0, "the server cannot be reached");
  }
  const body = await answer.json();
  if (!answer.ok) throw new Problem(answer.status, body.detail, body.errors);
  return body;
}

const post = (path, body, key) => ask(path, key, { method: "POST", body: JSON.stringify(body) });

export const categories = () => ask("/v1/categories", keys.read);
export const products = (query) => ask(`/v1/products?${new URLSearchParams(query)}`, keys.read);
export const product = (id) => ask(`/v1/products/${encodeURIComponent(id)}`, keys.read);
export const similar = (id) => ask(`/v1/products/${encodeURIComponent(id)}/similar?count=6`, keys.read);
export const recommend = (body) => post("/v1/recommendations", body, keys.read);

// Tried again with the same event_id, an event is taken once.
export async function send(event, tries = 3) {
  try {
    return await post("/v1/events", event, keys.write);
  } catch (problem) {
    if (tries <= 1 || ![0, 429, 503].includes(problem.status)) throw problem;
    await new Promise((wake) => setTimeout(wake, 1000));
    return send(event, tries - 1);
  }
}
