// The page: what it shows, and what it follows.

import { Problem, ask, onAnswer } from "./api.js";
import { follow } from "./asking.js";
import { measure } from "./grid.js";
import { clusters } from "./clusters.js";
import { header } from "./header.js";
import { kept } from "./filters.js";
import { html, nothing, render } from "./html.js";
import { notes } from "./notes.js";
import { photo } from "./photo.js";
import { preview, settle } from "./preview.js";
import { results } from "./results.js";
import { start } from "./start.js";
import { onChange, set, state } from "./store.js";
import { keep, timing } from "./timing.js";
import { choices, listen } from "./upload.js";

const root = document.getElementById("page");

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
    <main id="main" tabindex="-1">${timing()} ${notes()} ${known ? view() : nothing}</main>
    ${preview(listed())}
    <div class="drop" aria-hidden="true">Drop the photo</div>`;
}

function view() {
  const { query, view: name } = state;
  if (name === "start") return start();
  if (name === "clusters") return clusters();
  if (query?.kind === "lost") return lost();
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

function lost() {
  return html`<section class="hero">
    <h1>This photo is gone</h1>
    <p>A photo of your own lives in its tab alone, and is forgotten with it; such a page cannot be kept or shared.</p>
    ${choices("lost")}
  </section>`;
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

onAnswer(keep);
onChange(draw);
listen();
addEventListener("popstate", follow);
addEventListener("resize", () => set({}));
addEventListener("online", () => state.problem?.error.status === 0 && state.problem.again());
set({});
begin();
