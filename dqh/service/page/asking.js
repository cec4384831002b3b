// What is asked when: first the objects of a photo, for their dots, then what looks like it, then what is known of it.

import { Problem, ask } from "./api.js";
import { addressOf, asked } from "./address.js";
import { written } from "./box.js";
import { shareOf } from "./colours.js";
import { where } from "./filters.js";
import { sendable } from "./shrink.js";
import { busy, can, set, state } from "./store.js";

const uploads = new Map();
const K = 40;
const MOST_OF_A_LENS = 100;
const MOST_OF_A_LOOK = 20;

let turn = new AbortController();
let search = new AbortController();

/** Show what the address asks for. */
export async function follow() {
  const wanted = asked(location.search);
  const part = wanted.box ? { box: wanted.box, dot: null } : null;
  const { words, colour } = wanted;
  const among = wanted.among ?? "images";
  if (wanted.upload !== null && !uploads.has(wanted.upload)) {
    begin({ view: "query", query: { kind: "lost", number: wanted.upload } });
  } else if (wanted.upload !== null) {
    begin({ view: "query", query: uploads.get(wanted.upload), part, words, colour, among });
    await askAll(wanted.dot);
  } else if (wanted.id !== null) {
    begin({ view: "query", query: { kind: "item", id: wanted.id, picture: `/v1/items/${wanted.id}/preview` } });
    set({ part, words, colour, among });
    await askAll(wanted.dot);
  } else {
    begin({ view: "start", words });
    await askItems();
  }
}

/** Search by a photo that somebody chose. */
export async function openUpload(file) {
  begin({ view: "query", query: null });
  busy("objects", true);
  const image = await sendable(file, state.known.limits);
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

/** Search by a part of the query; null for all of it. */
export async function choosePart(part) {
  const among = part && can("objects") && state.among === "images" ? "objects" : state.among;
  set({ part, draft: null, among: part ? among : "images", k: K, words: [], colour: null });
  remember();
  await Promise.all([askResults(), askLens()]);
}

/** Ask anew with other settings: `among`, `words`, `colour`, `k`. */
export async function refine(changes) {
  set(changes);
  remember();
  if (state.view === "start") await askItems();
  else await askResults();
}

/** The items at the start, from several places of the index. */
export async function askItems(offset = 0) {
  const { signal } = turn;
  await told("items", signal, () => askItems(offset), async (how) => {
    const label = where(state.words, state.known, "images");
    const parts = [can("objects") ? "not score >= 0" : null, label].filter(Boolean);
    const most = parts.length > 1 ? 60 : 6;
    const steps = label ? [-1] : Array.from({ length: 7 }, (_, step) => step);
    const rows = state.known.rows;
    const answers = await Promise.all(
      steps.map((step) => {
        const after = step < 0 ? -1 : Math.floor((((step + offset) / 7) % 1) * rows) - 1;
        const where = parts.length ? parts.join(" and ") : null;
        return ask("/v1/items", { ...how, asked: { after, most: label ? 60 : most, where, sizes: true } });
      }),
    );
    const items = new Map(answers.flatMap((answer) => answer.items).map((item) => [item.id, item]));
    set({ items: [...items.values()] });
  });
}

/** The next answers. */
export function more() {
  return refine({ k: Math.min(3 * state.k, state.known.limits.answers) });
}

async function askAll(dot) {
  const isKnown = state.query.kind !== "item" || (await askItem());
  if (!isKnown) return;
  if (can("detect") || (can("objects") && can("upload"))) await askObjects();
  if (dot && !state.part) {
    const near = ({ dot: [x, y] }) => Math.hypot(x - dot[0], y - dot[1]) < 0.005;
    const object = (state.objects ?? []).find(near);
    if (object) set({ part: { box: object.box, dot: object.dot } });
  }
  if (turn.signal.aborted) return;
  await askResults();
  await askLens();
  if (can("words") && can("detect")) await askWorth();
}

async function askItem() {
  const { signal } = turn;
  return told("objects", signal, follow, async (how) => {
    const item = await ask(`/v1/items/${state.query.id}`, how);
    set({ query: { ...state.query, item, size: item.size } });
  });
}

async function askObjects() {
  const { signal } = turn;
  const { query } = state;
  await told("objects", signal, () => askAll(null), async (how) => {
    try {
      const answer = await ask("/v1/objects", { ...how, ...by(query) });
      set({ objects: answer.objects, note: answer.note, query: { ...query, size: answer.size } });
    } catch (error) {
      if (error.status !== 409) throw error;
      set({ objects: [] }); // no detector, and none of the index
    }
  });
}

/** Which dots the filter of the service would show, and what looks like them says of each. */
async function askWorth() {
  const { signal } = turn;
  const { query, objects } = state;
  if (!objects?.length) return;
  await told("lens", signal, askWorth, async (how) => {
    const answer = await ask("/v1/look", { ...how, ...by(query, { k: 1, most: MOST_OF_A_LOOK, words: 1 }) });
    const spots = new Map(answer.spots.map((spot) => [written(spot.box), spot]));
    set({ objects: objects.map((object) => ({ ...object, ...spots.get(written(object.box)) })) });
  });
}

async function askResults() {
  if (state.among === "lens") return askLens();
  search.abort();
  search = new AbortController();
  const signal = AbortSignal.any([turn.signal, search.signal]);
  const { query, part, among, words, colour } = state;
  await told("results", signal, askResults, async (how) => {
    const more = { k: colour ? Math.max(state.k, 3 * K) : state.k, among, sizes: true, where: where(words, state.known, among) };
    const answer = await ask("/v1/search", { ...how, ...by(query, { ...more, box: part && written(part.box) }) });
    const isSelf = (hit) => query.kind === "item" && !part && (hit.id === query.id || hit.id === query.item.image);
    set({ results: answer.hits.filter((hit) => !isSelf(hit)), rule: answer.rule, rank: answer.rank, resultsNote: answer.note });
    if (answer.size && !query.size) set({ query: { ...query, size: answer.size } });
    await measureColour();
  });
  return undefined;
}

async function askLens() {
  if (!can("upload")) return;
  const { signal } = turn;
  const { query, part } = state;
  const name = state.among === "lens" ? "results" : "lens";
  await told(name, signal, askLens, async (how) => {
    const k = Math.min(MOST_OF_A_LENS, state.k);
    const answer = await ask("/v1/lens", { ...how, ...by(query, { k, sizes: true, box: part && written(part.box) }) });
    set({ understood: answer.understanding, sources: answer.sources });
    if (state.among !== "lens") return;
    set({ results: answer.results.filter((hit) => hit.id !== query.id), resultsNote: answer.note });
    await measureColour();
  });
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
    ...{ query: null, objects: null, part: null, draft: null, among: "images", words: [], colour: null, k: K, wait: 0 },
    ...{ results: null, understood: null, sources: [], shares: null, note: "", resultsNote: "", problem: null },
    ...{ preview: null, related: null, cluster: null, busy: new Set() },
    ...changes,
  });
}

function remember() {
  history.pushState(null, "", addressOf(state));
}
