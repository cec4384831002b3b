// What is asked when: first the objects of a photo, for their dots, then what looks like it, then what is known of it.

import { Problem, ask } from "./api.js";
import { addressOf, asked } from "./address.js";
import { written } from "./box.js";
import { shareOf } from "./colours.js";
import { quoted, where } from "./filters.js";
import { sendable } from "./shrink.js";
import { busy, can, set, state } from "./store.js";

const uploads = new Map();
const K = 40;
const NEAR = 0.005; // of a dot of an address to one of an object
const MOST_OF_A_LENS = 100;
const MOST_OF_A_LOOK = 20;
const MOST_AT_THE_START = 42;
const MOST_OF_A_LABEL = 60;

let turn = new AbortController();
let search = new AbortController();

/** Show what the address asks for. */
export async function follow() {
  const wanted = asked(location.search);
  const part = wanted.box ? { box: wanted.box, dot: null } : null;
  const { words, colour } = wanted;
  const among = wanted.among ?? "images";
  if (wanted.upload !== null && !uploads.has(wanted.upload)) {
    begin({});
    const why = "A photo of your own lives in its tab alone, and is forgotten with it; such a page cannot be kept or shared.";
    set({ view: "lost", lost: { title: "This photo is gone", text: why } });
  } else if (wanted.upload !== null) {
    begin({ view: "query", query: uploads.get(wanted.upload), part, words, colour, among });
    await askAll(wanted.dot);
  } else if (wanted.id !== null) {
    begin({ view: "query", query: { kind: "item", id: wanted.id, picture: `/v1/items/${wanted.id}/preview` } });
    set({ part, words, colour, among });
    await askAll(wanted.dot);
  } else if (wanted.clusters || wanted.cluster !== null) {
    begin({ view: "clusters" });
    await askClusters(wanted.cluster);
  } else {
    begin({ view: "start", words });
    await askItems();
  }
}

/** Search by a photo that somebody chose. */
export async function openUpload(file) {
  begin({ view: "query", query: null });
  const own = turn;
  const image = await sendable(file, state.known.limits);
  if (own !== turn) return; // somebody went on meanwhile
  const number = uploads.size + 1;
  const query = { kind: "upload", number, image, name: file.name || "a photo", picture: URL.createObjectURL(file) };
  uploads.set(number, query);
  set({ query });
  remember();
  await askAll(null);
}

/** Search by an item of the index. */
export async function openItem(id) {
  begin({ view: "query", query: { kind: "item", id, picture: `/v1/items/${id}/preview` } });
  remember();
  await askAll(null);
}

/** The start, or the photos of some labels. */
export async function openStart(words = []) {
  begin({ view: "start", words });
  remember();
  await askItems();
}

/** The clusters, or one of them by its number. */
export async function openClusters(number = null) {
  begin({ view: "clusters", cluster: number === null ? null : { number } });
  remember();
  await askClusters(number);
}

/** The clusters after those that are there, or the members of one of them. */
export function askClusters(number) {
  const again = () => askClusters(number);
  return told("clusters", turn.signal, again, async (how) => {
    const before = number === null ? state.clusters : state.cluster;
    const asked = { after: before?.next ?? 0, ...(number === null ? {} : { sizes: true }) };
    if (number === null) {
      const answer = await required("There are no clusters", ask("/v1/clusters", { ...how, asked }));
      set({ clusters: { ...answer, clusters: [...(before?.clusters ?? []), ...answer.clusters] } });
    } else {
      const answer = await required("This cluster is not there", ask(`/v1/clusters/${number}`, { ...how, asked }));
      const { cluster, items, next } = answer;
      set({ cluster: { ...cluster, items: [...(before?.items ?? []), ...items], next } });
    }
  });
}

/** Search by a part of the query; null for all of it. */
export async function choosePart(part) {
  const among = part && can("objects") && state.among === "images" ? "objects" : state.among;
  set({ part, draft: null, among: part ? among : "images", k: K, words: [], colour: null });
  remember();
  await askFor();
}

/** Ask anew with other settings: `among`, `words`, `colour`, `k`. */
export async function refine(changes) {
  set(changes);
  remember();
  if (state.view === "start") await askItems();
  else if (state.among === "lens") await askLens(askFor);
  else await askResults(askFor);
}

/** The items at the start: all of a label, else some from all over the index, `share` into each part of it. */
export async function askItems(share = 0) {
  const { signal } = turn;
  await told("items", signal, () => askItems(share), async (how) => {
    const labels = state.words.map((word) => `label = ${quoted(word)}`);
    const parts = [...(can("objects") ? ["not score >= 0"] : []), ...labels];
    const chosen = labels.length ? { most: MOST_OF_A_LABEL } : { most: MOST_AT_THE_START, spread: share };
    const asked = { ...chosen, where: parts.length ? parts.join(" and ") : null, sizes: true };
    const { items } = await ask("/v1/items", { ...how, asked });
    set({ items });
  });
}

/** The next answers. */
export function more() {
  return refine({ k: Math.min(3 * state.k, state.known.limits.answers) });
}

/** Everything about a query, in its order, up to what fails; `dot` names the object whose part is searched. */
async function askAll(dot) {
  const again = () => askAll(dot);
  if (state.query.kind === "item" && !state.query.item && !(await askItem(again))) return;
  if (!state.objects && (can("detect") || can("objects")) && !(await askObjects(again))) return;
  const object = dot && (state.objects ?? []).find(({ dot: own }) => Math.hypot(own[0] - dot[0], own[1] - dot[1]) < NEAR);
  if (object && !state.part) set({ part: { box: object.box, dot: object.dot } });
  await askFor();
}

/** What looks like the query or a part of it, and then what is known of it. */
async function askFor() {
  const isDone = (await askResults(askFor)) && (await askLens(askFor));
  if (isDone && can("words") && can("detect")) await askWorth();
}

function askItem(again) {
  return told("item", turn.signal, again, async (how) => {
    const item = await required("This photo is not in the index", ask(`/v1/items/${state.query.id}`, how));
    set({ query: { ...state.query, item, size: item.size } });
  });
}

function askObjects(again) {
  const { query } = state;
  return told("objects", turn.signal, again, async (how) => {
    try {
      const answer = await ask("/v1/objects", { ...how, ...by(query) });
      set({ objects: answer.objects, query: { ...query, size: answer.size } });
    } catch (error) {
      if (![409, 500].includes(error.status) && !isGone(query, error)) throw error;
      set({ objects: [] }); // no detector, or one that fails, or no photo: all else goes on without dots
    }
  });
}

/** Which dots the filter of the service would show, and what looks like them says of each. */
async function askWorth() {
  const { query, objects } = state;
  if (!objects?.length || objects.some(({ shown }) => shown !== undefined)) return;
  await told("lens", turn.signal, askWorth, async (how) => {
    const answer = await ask("/v1/look", { ...how, ...by(query, { k: 1, most: MOST_OF_A_LOOK, words: 1 }) });
    const spots = new Map(answer.spots.map((spot) => [written(spot.box), spot]));
    set({ objects: objects.map((object) => ({ ...object, ...spots.get(written(object.box)) })) });
  });
}

/** Whether the photo of an item is gone: the index still knows what looks like it, and nothing more can be seen in it. */
function isGone(query, error) {
  return query.kind === "item" && error.status === 404;
}

async function askResults(again) {
  search.abort();
  if (state.among === "lens") {
    busy("results", false);
    return true; // which answers itself
  }
  search = new AbortController();
  const signal = AbortSignal.any([turn.signal, search.signal]);
  const { query, part, among, words, colour } = state;
  return told("results", signal, again, async (how) => {
    const k = colour ? Math.max(state.k, 3 * K) : state.k;
    const asked = { k, among, sizes: true, where: where(words, state.known, among), box: part && written(part.box) };
    const answer = await ask("/v1/search", { ...how, ...by(query, asked) });
    const isSelf = ({ id }) => query.kind === "item" && !part && (id === query.id || id === query.item.image);
    set({ results: answer.hits.filter((hit) => !isSelf(hit)), note: answer.note });
    if (answer.size && !query.size) set({ query: { ...query, size: answer.size } });
    await measureColour();
  });
}

async function askLens(again) {
  if (!can("lens")) return true;
  const { query, part, among, k } = state;
  const isWanted = among === "lens";
  return told(isWanted ? "results" : "lens", turn.signal, again, async (how) => {
    const asked = { k: Math.min(MOST_OF_A_LENS, k), sizes: true, box: part && written(part.box) };
    let answer;
    try {
      answer = await ask("/v1/lens", { ...how, ...by(query, asked) });
    } catch (error) {
      if (isWanted || !isGone(query, error)) throw error;
      return; // what looks alike stands without words and colours
    }
    if (state.part !== part) return; // another is asked about meanwhile
    set({ understood: answer.understanding, sources: answer.sources });
    if (!isWanted || state.among !== "lens") return;
    set({ results: answer.results.filter((hit) => hit.id !== query.id), note: answer.note });
    await measureColour();
  });
}

/** An answer, which is of what the address names; where that is not there, the page says so. */
async function required(title, answer) {
  try {
    return await answer;
  } catch (error) {
    if (![404, 409].includes(error.status)) throw error;
    const why = error.status === 404 ? " It was removed, or the link is of another index." : "";
    const text = `The service says: ${error.message}.${why}`;
    set({ view: "lost", lost: { title, text } });
    throw new DOMException(title, "AbortError"); // nothing more is asked about it
  }
}

/** Look at the thumbnails of the answers for how much they have of the colour that is wanted. */
async function measureColour() {
  const { colour, results } = state;
  if (!colour) return set({ shares: null });
  const shares = await Promise.all(results.map(async (hit) => [hit.id, await shareOf(hit.thumbnail, colour)]));
  return state.colour === colour && state.results === results ? set({ shares: new Map(shares) }) : undefined;
}

/** A photo or an item as a request has it. */
function by(query, asked = {}) {
  return query.kind === "item" ? { asked: { ...asked, id: query.id } } : { asked, image: query.image };
}

/** Do something that is shown to go on; what goes wrong with it is shown, with a way to do it again. */
async function told(name, signal, again, act) {
  busy(name, true);
  try {
    await act({ signal, onWait: (wait) => set({ wait }) });
    if (state.problem?.name === name) set({ problem: null });
    return true;
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return false;
    if (!(error instanceof Problem)) throw error;
    set({ problem: { error, name, again }, wait: 0 });
    return false;
  } finally {
    if (!signal.aborted) busy(name, false);
  }
}

function begin(changes) {
  scrollTo({ top: 0 });
  turn.abort();
  search.abort();
  turn = new AbortController();
  set({
    ...{ query: null, objects: null, part: null, draft: null, isHeld: false, lost: null, among: "images", words: [], colour: null, k: K, wait: 0 },
    ...{ results: null, understood: null, sources: [], shares: null, note: "", problem: null },
    ...{ preview: null, related: null, cluster: null, clusters: null, busy: new Set() },
    ...changes,
  });
}

/** Keep the address of what is shown; what stood there for a photo shown large is not come back to. */
function remember() {
  if (history.state?.isLarge) history.replaceState(null, "", addressOf(state));
  else history.pushState(null, "", addressOf(state));
}
