// The start: bring a photo, or begin with one of the index.

import { askItems, openItem } from "./asking.js";
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
  const { known, items, busy, words } = state;
  return html`<section class="hero">
      <h1>Find photos that look alike</h1>
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
      ${busy.has("items") && !items.length ? html`<p class="hint" role="status">Loading …</p>` : nothing}
    </section>`;
}

function others() {
  share = (share + STEP) % 1;
  askItems(share);
}
