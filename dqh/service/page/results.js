// The answers, and how they are asked for.

import { more, openItem, refine } from "./asking.js";
import { chips } from "./chips.js";
import { kept } from "./filters.js";
import { grid } from "./grid.js";
import { html, nothing } from "./html.js";
import { open } from "./preview.js";
import { can, state } from "./store.js";
import { counted, percent, sourceName } from "./words.js";

const WAYS = {
  images: ["Photos", "Whole photos that look alike"],
  objects: ["Objects", "Photos with an object that looks alike"],
  lens: ["All sources", "Looks, objects and words together, as much of each as the photo suggests"],
};

/** The answers. */
export function results() {
  const { results: all, words, shares, busy, part, problem } = state;
  const shown = all && kept(all, words, shares);
  return html`<section class="results" aria-labelledby="answers" aria-busy=${busy.has("results")}>
    <div class="bar-of-list">
      <h1 id="answers" tabindex="-1" aria-live="polite">${heading(shown, all)}</h1>
      ${ways()}
    </div>
    ${chips()} ${sources()}
    ${shown === null
      ? problem || !busy.has("results") ? nothing : html`<ul class="grid waiting" aria-hidden="true">${Array.from({ length: 8 }, () => html`<li></li>`)}</ul>`
      : shown.length
        ? grid(shown, { open, search: (item) => openItem(item.id), label: part ? "Photos like the part" : "Photos like it" })
        : nothingBecause(all)}
    ${shown?.length && all.length >= state.k - 2 && state.k < state.known.limits.answers && state.among !== "lens"
      ? html`<p class="more" data-refuge=".tile:last-child .open">
          <button aria-disabled=${busy.has("results")} @click=${() => busy.has("results") || more()}>More</button>
        </p>`
      : nothing}
  </section>`;
}

function heading(shown, all) {
  if (state.busy.has("results")) return "Searching …";
  if (shown === null) return state.problem ? "No answers" : "Searching …";
  const like = state.part ? "like this part" : "like this";
  const of = shown.length < all.length ? ` of ${all.length}` : "";
  return `${counted(shown.length, "photo")}${of} ${like}`;
}

function nothingBecause(all) {
  const { words, colour, note } = state;
  const clear = () => refine({ words: [], colour: null, shares: null });
  const why = all.length ? "None of the answers has what is asked for." : `No photo: ${note || "nothing was found"}.`;
  return html`<div class="alone">
    <p>${why}</p>
    ${words.length || colour ? html`<button @click=${clear}>Clear the filters</button>` : nothing}
  </div>`;
}

function ways() {
  const able = { images: true, objects: can("objects"), lens: can("lens") };
  const names = Object.keys(WAYS).filter((name) => able[name]);
  if (names.length < 2) return nothing;
  return html`<div class="ways" role="group" aria-label="What is searched">
    ${names.map(
      (name) =>
        html`<button
          aria-pressed=${state.among === name}
          title=${WAYS[name][1]}
          @click=${() => state.among !== name && refine({ among: name, results: null })}
        >
          ${WAYS[name][0]}
        </button>`,
    )}
  </div>`;
}

/** Whom a lens asked, and why. */
function sources() {
  if (state.among !== "lens" || !state.sources.length) return nothing;
  return html`<details class="sources">
    <summary>
      ${state.sources.map(({ name, ratio, asked }) => html`<span>${sourceName(name)} ${asked ? percent(ratio) : "not asked"}</span>`)}
    </summary>
    <dl>
      ${state.sources.map(
        ({ name, because, note }) => html`<div><dt>${sourceName(name)}</dt><dd>${[...because, note].filter(Boolean).join("; ")}</dd></div>`,
      )}
    </dl>
  </details>`;
}
