// What the page knows and shows: one object, and a drawing of it after every change.

export const state = {
  known: null, // what /v1/index tells
  view: "start", // start, query, clusters, or lost
  lost: null, // {title, text}: of what an address names, and is not there
  query: null, // {kind: "item", id, item} or {kind: "upload", number, image, name}; both with picture and size
  objects: null, // what is seen in the query, with its dots; null while that is not known
  part: null, // {box, dot}: what of the query is searched; dot is null for a box that was drawn
  draft: null, // a box that is being drawn
  isHeld: false, // whether a finger has rested on the photo, and draws now
  among: "images", // images, objects, or lens: all sources
  words: [], // that answers must have
  colour: null, // "#rrggbb" that answers must have
  k: 40, // answers that are asked for
  results: null, // null while nothing has come
  understood: null, // what a lens knows of the query
  sources: [], // whom a lens asked
  shares: null, // how much of each result, by its thumbnail, has the colour
  note: "", // of the service, why there is nothing
  busy: new Set(), // objects, results, lens, items
  problem: null, // {error, again}
  down: [], // shards of a router that had no part in the last answer
  wait: 0, // seconds until a busy service is asked again
  items: [], // of the start
  preview: null, // {item, among: list it is from}
  related: null, // to the preview, an answer of the service
  clusters: null, // as the service tells them
  cluster: null, // the one whose members are shown
  timings: [],
  showsTimings: false,
};

let draw = () => {};
let isDue = false;

/** Have `drawn(state)` called after changes, once for all of a moment. */
export function onChange(drawn) {
  draw = drawn;
}

/** Change the state. */
export function set(changes) {
  Object.assign(state, changes);
  if (isDue) return;
  isDue = true;
  queueMicrotask(() => {
    isDue = false;
    draw(state);
  });
}

/** Say that something is going on, or no longer. */
export function busy(name, is) {
  const names = new Set(state.busy);
  if (is) names.add(name);
  else names.delete(name);
  set({ busy: names });
}

/** Whether the service can do something. */
export function can(ability) {
  return state.known?.can.includes(ability) ?? false;
}
