// Pictures in rows of one height, each as wide as its photo is.

import { cropOf, positionOf, within } from "./crop.js";
import { html, nothing, repeat } from "./html.js";
import { alternative, called, distance, sourceName } from "./words.js";

const CAPTION = 30;
const GAP = 10;
const ASPECTS = [0.4, 3]; // of tiles; of photos beyond them a part is shown

let width = 0;

/** Tell how wide the grid is; whether that is news. */
export function measure(element) {
  const own = Math.floor(element?.clientWidth ?? 0);
  const isNews = own > 0 && own !== width;
  if (isNews) width = own;
  return isNews;
}

/**
 * The grid.
 *
 * @param {object[]} items of the service, with their sizes.
 * @param {object} how `open(item)`: shows one large; `search(item)`: searches by one, null for none; `label`: of the list.
 */
export function grid(items, { open, search, label }) {
  const { boxes, containerHeight } = laidOut(items);
  return html`<ul class="grid" aria-label=${label} .style=${`height: ${containerHeight}px`}>
    ${repeat(
      items,
      (item) => item.id,
      (item, place) => tile(item, boxes[place], open, search),
    )}
  </ul>`;
}

function laidOut(items) {
  const layout = globalThis.require("justified-layout");
  const aspects = items.map(({ size }) => Math.min(Math.max(size ? size[0] / size[1] : 1, ASPECTS[0]), ASPECTS[1]));
  const rowHeight = width < 500 ? 130 : width < 900 ? 170 : 200;
  return layout(aspects, {
    containerWidth: Math.max(width, 200),
    containerPadding: { top: 0, right: 0, bottom: CAPTION, left: 0 },
    targetRowHeight: rowHeight,
    targetRowHeightTolerance: 0.3,
    boxSpacing: { horizontal: GAP, vertical: GAP + CAPTION },
  });
}

function tile(item, box, open, search) {
  const style = `left: ${box.left}px; top: ${box.top}px; width: ${box.width}px`;
  const crop = cropOf(item, box);
  return html`<li class="tile" .style=${style}>
    <button class="open" @click=${() => open(item)}>
      <span class="frame" .style=${`height: ${box.height}px`}>
        <img
          src=${source(item)}
          alt=${alternative(item)}
          loading="lazy"
          decoding="async"
          .style=${`object-position: ${positionOf(crop)}`}
          @error=${missing}
        />
        ${item.box ? outline(item.box, crop) : nothing}
      </span>
      <span class="caption"><span class="name">${called(item)}</span>${measureOf(item)}</span>
    </button>
    ${search
      ? html`<button class="seek" title="Search from this" aria-label=${`Search from ${called(item)}`} @click=${() => search(item)}>
          <svg viewBox="0 0 20 20" aria-hidden="true"><circle cx="8.5" cy="8.5" r="5" /><path d="m12.5 12.5 4.5 4.5" /></svg>
        </button>`
      : nothing}
  </li>`;
}

/** How near an answer is, or who named it. */
function measureOf(item) {
  if (item.named) return html`<span class="far">${item.named.map((naming) => sourceName(naming.source)).join(" + ")}</span>`;
  if (item.distance === undefined) return nothing;
  return html`<span class="far"><span class="unseen">distance </span>${distance(item.distance)}</span>`;
}

/** The picture of a tile: of a long photo, whose thumbnail is a few pixels high, the larger one. */
function source({ size, thumbnail, preview }) {
  const aspect = size ? size[0] / size[1] : 1;
  return aspect < ASPECTS[0] || aspect > ASPECTS[1] ? preview : thumbnail;
}

/** Where an object is in its photo, or in the part of it that is shown. */
export function outline(box, crop = [0, 0, 1, 1]) {
  const [x, y, wide, high] = within(box, crop);
  return html`<svg class="outline" aria-hidden="true"><rect x=${x} y=${y} width=${wide} height=${high} /></svg>`;
}

/** Leave the place of a picture empty that cannot be loaded. */
export function hide(event) {
  event.target.classList.add("gone");
}

function missing(event) {
  event.target.closest(".frame").classList.add("gone");
}
