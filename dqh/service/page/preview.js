// One photo, large, with what the index knows of it, and what goes with it.

import { ask } from "./api.js";
import { openItem } from "./asking.js";
import { hide, outline } from "./grid.js";
import { html, nothing, repeat } from "./html.js";
import { picture } from "./pictures.js";
import { can, set, state } from "./store.js";
import { alternative, called, distance, percent, sourceName } from "./words.js";

const MOST = 8; // related items

let turn = new AbortController();
let before = null; // what had the focus

/** Show a photo large; Back comes back from it. */
export function open(item) {
  if (!state.preview) {
    before = document.activeElement;
    history.pushState({ isLarge: true }, "");
  }
  turn.abort();
  turn = new AbortController();
  set({ preview: item, related: null });
  if (can("related")) askRelated(item, turn.signal);
}

/** The dialog; it is there always, and open where there is a photo. */
export function preview(shown) {
  const item = state.preview;
  const place = item ? shown.findIndex(({ id }) => id === item.id) : -1;
  const go = (step) => shown[place + step] && open(shown[place + step]);
  const keys = { ArrowLeft: -1, ArrowRight: 1 };
  return html`<dialog
    id="preview"
    aria-labelledby="preview-name"
    @close=${close}
    @click=${(event) => event.target === event.currentTarget && event.target.close()}
    @keydown=${(event) => event.key in keys && go(keys[event.key])}
  >
    ${item ? content(item, { place, count: shown.length, go }) : nothing}
  </dialog>`;
}

/** Show no photo large, as Back wants it; whether one was. */
export function leave() {
  const wasOpen = state.preview !== null;
  if (wasOpen) set({ preview: null, related: null });
  return wasOpen;
}

/** Open or close the dialog after a drawing, as the state wants it. */
export function settle() {
  const dialog = document.getElementById("preview");
  if (state.preview && dialog && !dialog.open) dialog.showModal();
  if (!state.preview && dialog?.open) dialog.close();
}

function content(item, { place, count, go }) {
  const [width, height] = item.size ?? [4, 3];
  const [isFirst, isLast] = [place <= 0, place < 0 || place + 1 >= count];
  return html`<article class="preview" data-refuge="#preview-name">
    <div class="large" .style=${`--aspect: ${width / height}`}>
      ${picture(item.preview, { alternative: alternative(item), hasRetry: true })}
      ${item.box ? outline(item.box) : nothing}
    </div>
    <div class="known">
      <h2 id="preview-name" tabindex="-1">${called(item)}</h2>
      <p class="file">${item.name}</p>
      <dl>${facts(item).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      <p class="actions">
        <button class="first" autofocus @click=${() => openItem(item.id)}>Search from this</button>
        ${item.original ? html`<a class="button" href=${item.original} target="_blank" rel="noopener">Original</a>` : nothing}
      </p>
      ${related()}
      <p class="steps">
        <button class="quiet" aria-disabled=${isFirst} @click=${() => isFirst || go(-1)}>Previous</button>
        <button class="quiet" aria-disabled=${isLast} @click=${() => isLast || go(1)}>Next</button>
        <button class="quiet" @click=${() => document.getElementById("preview").close()}>Close</button>
      </p>
    </div>
  </article>`;
}

function facts(item) {
  return [
    ["labels", item.labels.join(", ")],
    ["tags", item.tags.map(({ word, weight }) => (weight < 1 ? `${word} ${percent(weight)}` : word)).join(", ")],
    ["object", item.object && (item.score === null ? item.object : `${item.object}, ${percent(item.score)} sure`)],
    ["distance", item.distance === undefined ? "" : distance(item.distance)],
    ["bits apart", item.code_distance === undefined || item.code_distance === item.distance ? "" : distance(item.code_distance)],
    ["named by", (item.named ?? []).map(naming).join("; ")],
    ["size", item.size ? `${item.size[0]} × ${item.size[1]}` : ""],
    ["item", String(item.id)],
  ].filter(([, value]) => value);
}

function naming({ source, rank, words }) {
  return `${sourceName(source)}, place ${rank}${words.length ? ` (${words.join(", ")})` : ""}`;
}

function related() {
  const { hits, by } = state.related ?? {};
  if (!hits?.length) return nothing;
  return html`<section class="related" aria-labelledby="related">
    <h3 id="related">Related <small>by ${by}</small></h3>
    <ul>
      ${repeat(
        hits,
        (item) => item.id,
        (item) => html`<li>
          <button title=${saved(item)} @click=${() => open(item)}><img src=${item.thumbnail} alt=${alternative(item)} loading="lazy" @error=${hide} /></button>
        </li>`,
      )}
    </ul>
  </section>`;
}

/** How often people saved a related item, where the log tells. */
function saved({ propensity }) {
  if (!propensity) return "";
  const { value, saved_by: savers, shown_to: viewers } = propensity;
  return `saved by ${percent(value)} of who saw it: ${savers} of ${viewers}`;
}

async function askRelated(item, signal) {
  try {
    const answer = await ask("/v1/related", { asked: { id: item.id, k: MOST, sizes: true }, signal });
    if (!signal.aborted) set({ related: answer });
  } catch (error) {
    if (error.name !== "AbortError") set({ related: null });
  }
}

function close(event) {
  if (event.target.open) return;
  turn.abort();
  if (!leave()) return; // another photo is searched by, or Back was pressed
  before?.focus();
  if (history.state?.isLarge) history.back();
}
