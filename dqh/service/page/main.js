// The page: what it shows, and what it follows.

import { addressOf } from "./address.js";
import { Problem, ask, onAnswer } from "./api.js";
import { follow } from "./asking.js";
import { clusters } from "./clusters.js";
import { keepFocus } from "./focus.js";
import { measure } from "./grid.js";
import { header } from "./header.js";
import { kept } from "./filters.js";
import { html, nothing, render } from "./html.js";
import { lost } from "./lost.js";
import { notes } from "./notes.js";
import { photo } from "./photo.js";
import { forgetReasons } from "./pictures.js";
import { leave, preview, settle } from "./preview.js";
import { results } from "./results.js";
import { start } from "./start.js";
import { onChange, set, state } from "./store.js";
import { keep, timing } from "./timing.js";
import { listen } from "./upload.js";

const root = document.getElementById("page");
let isRefreshing = false;

function draw() {
  render(page(), root);
  if (measure(document.querySelector(".grid, .measure"))) render(page(), root);
  settle();
  document.title = title();
}

function page() {
  const { known } = state;
  return html`<a class="skip" href="#main">To the photos</a>
    ${header()}
    <main id="main" tabindex="-1">${timing()} ${notes()} ${known ? view() : waiting()}</main>
    ${preview(listed())}
    <div class="drop" aria-hidden="true">Drop the photo</div>`;
}

function view() {
  const { query, view: name } = state;
  if (name === "start") return start();
  if (name === "clusters") return clusters();
  if (name === "lost") return lost();
  return html`<div class="query">
    <aside aria-label="What is searched by">
      ${query ? photo() : html`<p class="hint" role="status">Reading the photo …</p>`}
      ${query?.kind === "upload"
        ? html`<p class="hint">Your photo is in this tab alone, so this page has no link to share.</p>`
        : nothing}
    </aside>
    ${results()}
  </div>`;
}

function waiting() {
  return html`<h1 class="unseen" tabindex="-1">Photos that look alike</h1>`;
}

function listed() {
  if (state.view === "clusters") return state.cluster?.items ?? [];
  return state.view === "start" ? state.items : kept(state.results ?? [], state.words, state.shares);
}

function title() {
  const name = state.query?.name ?? state.query?.item?.name;
  return name ? `Like ${name}` : "Photos that look alike";
}

async function begin() {
  try {
    set({ known: await ask("/v1/index", { onWait: (wait) => set({ wait }) }), problem: null });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    set({ problem: { error, name: "index", again: begin } });
    return;
  }
  await follow();
}

/** Ask again what there is, where an answer is of another version of the index. */
async function refresh({ what, version }) {
  if (isRefreshing || !state.known || what === "/v1/index" || [null, state.known.version].includes(version)) return;
  isRefreshing = true;
  try {
    set({ known: await ask("/v1/index") });
    forgetReasons();
  } catch (error) {
    if (!(error instanceof Problem)) throw error; // the next answer asks again
  } finally {
    isRefreshing = false;
  }
}

/** Show what Back or Forward comes to, if it is not there already, as behind a photo that was shown large. */
function turn() {
  const isThere = state.view !== "lost" && addressOf(state) === (location.search || "/");
  if (!leave() && !isThere) follow();
}

onAnswer(keep);
onAnswer(({ shards }) => shards && set({ down: shards.filter(({ state }) => state === "down") }));
onAnswer(refresh);
onChange(() => keepFocus(draw));
listen();
addEventListener("popstate", turn);
addEventListener("resize", () => set({}));
addEventListener("online", () => state.problem?.error.status === 0 && state.problem.again());
set({});
begin();
