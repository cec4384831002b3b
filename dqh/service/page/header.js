// The top of the page: where one is, and how it looks.

import { openClusters, openStart } from "./asking.js";
import { html, nothing } from "./html.js";
import { can, set, state } from "./store.js";
import { choices } from "./upload.js";
import { counted } from "./words.js";

const THEMES = ["auto", "light", "dark"];

/** The header. */
export function header() {
  const { known, view, showsTimings, down } = state;
  return html`<header class="top">
    <a class="home" href="/" @click=${home}>
      <svg viewBox="0 0 32 32" aria-hidden="true"><rect x="3" y="3" width="26" height="26" rx="5" /><circle cx="16" cy="16" r="5" /></svg>
      <span>Photos</span>
    </a>
    <p class="size">${known ? size(known) : nothing}</p>
    ${["query", "clusters"].includes(view) && can("upload") ? choices("top") : nothing}
    <div class="tools">
      ${can("clusters") ? html`<button class="quiet" @click=${() => openClusters()}>Clusters</button>` : nothing}
      <button class="quiet" aria-pressed=${showsTimings} @click=${() => set({ showsTimings: !showsTimings })}>Timing</button>
      <button class="quiet" title=${`Theme: ${theme()}`} aria-label=${`Theme: ${theme()}`} @click=${turn}>
        <svg class=${`theme ${theme()}`} viewBox="0 0 20 20" aria-hidden="true">
          <circle cx="10" cy="10" r="7" /><path class="half" d="M10 3a7 7 0 0 1 0 14z" />
        </svg>
      </button>
      <a class="quiet button" href="/docs">API</a>
    </div>
    <p class="down" role="status">${down.length ? missing(down) : nothing}</p>
  </header>`;
}

function size({ images, objects }) {
  return objects ? `${counted(images, "photo")}, ${counted(objects, "object")}` : counted(images, "photo");
}

function missing(down) {
  const told = down.map(({ address, reason }) => `${address}: ${reason}`).join("; ");
  return `Photos of ${counted(down.length, "shard")} are missing in the answers (${told}).`;
}

/** Go to the start, but where another tab is wanted. */
export function home(event) {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openStart();
}

function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function turn() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "auto") localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
  } catch {
    // it holds for this visit then
  }
  set({});
}
