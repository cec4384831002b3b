// The start: bring a photo, or begin with one of the index.

import { askItems, openItem, openStart } from "./asking.js";
import { labelChips } from "./chips.js";
import { grid } from "./grid.js";
import { html, nothing } from "./html.js";
import { open } from "./preview.js";
import { can, state } from "./store.js";
import { choices } from "./upload.js";

const STEP = 0.382; // of a part of the index, after which few steps come to the same place

let share = 0;

/** The start. */
export function start() {
  const { known, items, busy, words, problem } = state;
  const isNone = known.rows && words.length && !items.length && !busy.has("items") && !problem;
  return html`<section class="hero">
      <h1 tabindex="-1">Find photos that look alike</h1>
      ${can("upload")
        ? html`<p>Drop a photo here, paste one, or</p>
            ${choices("start")}
            <p class="hint">It stays in memory while it is searched by; the service keeps nothing of it.</p>`
        : html`<p>This index is asked by what it has: begin with one of these.</p>`}
    </section>
    <section aria-labelledby="items">
      <div class="bar-of-list">
        <h2 id="items">${words.length ? words.join(", ") : "Or begin with one of these"}</h2>
        ${words.length || !known.rows ? nothing : html`<button class="quiet" @click=${others}>Others</button>`}
      </div>
      ${labelChips()}
      ${known.rows
        ? grid(items, { open, search: (item) => openItem(item.id), label: "Photos of the index" })
        : html`<p class="alone">The index has no photos yet. Those that <code>dqh index</code> adds appear here.</p>`}
      ${isNone ? none(words) : nothing}
      ${busy.has("items") && !items.length ? html`<p class="hint" role="status">Loading …</p>` : nothing}
    </section>`;
}

/** That no photo has some labels, and how to go on. */
function none(words) {
  const names = words.map((word) => `“${word}”`).join(" and ");
  const tags = words.filter((word) => Object.hasOwn(state.known.tags, word));
  const why = tags.length ? " Tags filter the answers of a search; photos are chosen here by labels." : "";
  return html`<div class="alone">
    <p>No photo of the index has the label ${names}.${why}</p>
    <button @click=${() => openStart()}>All photos</button>
  </div>`;
}

function others() {
  share = (share + STEP) % 1;
  askItems(share);
}
