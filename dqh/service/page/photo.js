// The photo that is searched by, with its dots and the box of the part that is searched.

import { between, isEnough, moved, stretched } from "./box.js";
import { choosePart } from "./asking.js";
import { dots } from "./dots.js";
import { html, nothing, svg } from "./html.js";
import { isGone, isMissing, picture } from "./pictures.js";
import { set, state } from "./store.js";
import { alternative } from "./words.js";

const STEP = 0.02;
const CLICK = 0.01;
const WAIT = 400;
const HOLD = 350; // milliseconds that a finger rests before it draws, as one that moves earlier scrolls
const SLIP = 10; // pixels that a resting finger may move
const MIDDLE = [0.25, 0.25, 0.75, 0.75];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const CORNERS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
];

let drag = null;
let press = null; // of a finger that may come to rest: {timer, x, y}
let timer = 0;
const touched = { handleEvent: (event) => drag && event.preventDefault(), passive: false }; // else the page scrolls

/** The photo. */
export function photo() {
  const { query, part, draft } = state;
  const box = draft ?? part?.box ?? null;
  const [width, height] = query.size ?? [4, 3];
  const isAble = box || !isNothing(query); // a part of nothing cannot be asked by
  const stated = query.kind === "item" && query.item ? alternative(query.item) : `your photo ${query.name ?? ""}`;
  return html`<figure class="photo" data-refuge="#mark">
    <div class="stage" .style=${`--aspect: ${width / height}`}>
      ${picture(query.picture, { alternative: stated, reason: reason(query), load: measured })}
      ${isAble ? overlay(box) : nothing}
    </div>
    <figcaption>
      ${isAble
        ? html`<button id="mark" class="quiet" @click=${box ? clear : mark}>${box ? "Search all of the photo" : "Mark a part"}</button>
            ${hint(box)}`
        : nothing}
    </figcaption>
  </figure>`;
}

/** Whether a photo is gone, or is none: its picture cannot be shown, nor has the service told its size. */
function isNothing({ kind, picture: url, size }) {
  return kind === "item" ? isGone(url) : isMissing(url) && !size;
}

/** What lies on the photo: dots, and the box of a part, which is drawn here. */
function overlay(box) {
  const { query, isHeld } = state;
  return html`<svg
    class=${isHeld ? "overlay held" : "overlay"}
    aria-label="Parts of the photo"
    role="group"
    @pointerdown=${pressed}
    @pointermove=${pulled}
    @pointerup=${released}
    @pointercancel=${abandoned}
    @touchmove=${touched}
    @contextmenu=${(event) => (press || drag) && event.preventDefault()}
  >
    <rect class="ground" width="100%" height="100%" />
    ${own(query, box)} ${box ? [shade(box), frame(box)] : nothing} ${dots()} ${box ? corners(box) : nothing}
  </svg>`;
}

function hint(box) {
  const keys = "Keys: arrows move it, Shift and arrows resize it, Escape removes it.";
  if (box) {
    return html`<span class="hint">
      <span class="keys">Drag the box or its corners. ${keys}</span>
      <span class="finger">Drag its corners; hold the box to move it.</span>
    </span>`;
  }
  const [mouse, finger] = ["Drag a box around something.", "Hold a finger on the photo, then draw a box."];
  const isEither = state.objects?.length;
  return html`<span class="hint">
    <span class="keys">${isEither ? "Choose a dot, or drag a box around something." : mouse}</span>
    <span class="finger">${isEither ? "Choose a dot, or hold a finger on the photo and draw a box." : finger}</span>
  </span>`;
}

/** Why an upload cannot be seen; null for an item, of which the service knows. */
function reason({ kind, size }) {
  if (kind === "item") return null;
  return `Your browser cannot show this photo.${size ? " It is searched by all the same." : ""}`;
}

/** The box of the item itself, where it is an object of a photo. */
function own(query, box) {
  const item = query.item?.box;
  return item && !box ? svg`<rect class="own" x=${pct(item[0])} y=${pct(item[1])}
    width=${pct(item[2] - item[0])} height=${pct(item[3] - item[1])} />` : nothing;
}

function shade([x0, y0, x1, y1]) {
  const parts = [
    [0, 0, 1, y0],
    [0, y1, 1, 1],
    [0, y0, x0, y1],
    [x1, y0, 1, y1],
  ];
  return parts.map(
    ([a, b, c, d]) =>
      svg`<rect class="shade" x=${pct(a)} y=${pct(b)} width=${pct(c - a)} height=${pct(d - b)} />`,
  );
}

function frame([x0, y0, x1, y1]) {
  const [left, top, right, bottom] = [x0, y0, x1, y1].map((share) => Math.round(100 * share));
  const label = `Marked part, from ${left} % to ${right} % across and ${top} % to ${bottom} % down`;
  return svg`<g id="crop" class="crop" tabindex="0" role="application" aria-roledescription="box" aria-label=${label}
      @keydown=${pushed}>
    <rect class="box" x=${pct(x0)} y=${pct(y0)} width=${pct(x1 - x0)} height=${pct(y1 - y0)} />
  </g>`;
}

/** What the box is resized by; above the dots, which are above the box. */
function corners([x0, y0, x1, y1]) {
  return svg`<g class="corners" aria-hidden="true">
    ${CORNERS.map(([right, bottom], number) => {
      const [x, y] = [right ? x1 : x0, bottom ? y1 : y0].map(pct);
      return svg`<circle class="hold" data-corner=${number} cx=${x} cy=${y} r="16" />
        <circle class="corner" cx=${x} cy=${y} r="6" />`;
    })}
  </g>`;
}

function pct(share) {
  return `${(100 * share).toFixed(3)}%`;
}

function clear() {
  clearTimeout(timer);
  choosePart(null);
}

function mark() {
  const [object] = state.objects ?? [];
  set({ draft: object?.box ?? MIDDLE });
  commit(object?.box ?? MIDDLE);
  requestAnimationFrame(() => document.getElementById("crop")?.focus());
}

function place(event, overlay) {
  const { left, top, width, height } = overlay.getBoundingClientRect();
  return [(event.clientX - left) / width, (event.clientY - top) / height];
}

function pressed(event) {
  if (event.button !== 0 || event.target.closest(".dot")) return;
  const overlay = event.currentTarget;
  const at = place(event, overlay);
  const { corner } = event.target.dataset;
  const box = state.draft ?? state.part?.box ?? null;
  const isInside = event.target.classList.contains("box");
  const grip = { at, box, corner: corner === undefined ? null : CORNERS[corner], isInside, isMoved: false };
  const take = () => {
    drag = grip;
    overlay.setPointerCapture(event.pointerId);
  };
  if (event.pointerType === "touch" && !grip.corner) rest(event, take);
  else take();
}

/** Wait whether a finger rests. */
function rest({ clientX: x, clientY: y }, take) {
  const timer = setTimeout(() => {
    press = null;
    take();
    set({ isHeld: true });
  }, HOLD);
  press = { timer, x, y };
}

function stir() {
  clearTimeout(press?.timer);
  press = null;
}

function pulled(event) {
  if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > SLIP) stir();
  if (!drag) return;
  const { at, box, corner, isInside } = drag;
  const now = place(event, event.currentTarget);
  const [dx, dy] = [now[0] - at[0], now[1] - at[1]];
  if (!drag.isMoved && Math.hypot(dx, dy) < CLICK) return;
  drag.isMoved = true;
  clearTimeout(timer);
  if (corner) set({ draft: stretched(box, corner, dx, dy) });
  else if (isInside) set({ draft: moved(box, dx, dy) });
  else set({ draft: between(at, now) });
}

function released() {
  stir();
  if (drag?.isMoved) {
    if (isEnough(state.draft)) choosePart({ box: state.draft, dot: null });
    else set({ draft: null });
  }
  drag = null;
  if (state.isHeld) set({ isHeld: false });
}

function abandoned() {
  stir();
  drag = null;
  set({ draft: null, isHeld: false });
}

function pushed(event) {
  const box = state.draft ?? state.part.box;
  if (event.key === "Escape") {
    clear();
    return;
  }
  if (!(event.key in ARROWS) || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const [dx, dy] = ARROWS[event.key].map((sign) => sign * STEP);
  const next = event.shiftKey ? stretched(box, [1, 1], dx, dy) : moved(box, dx, dy);
  set({ draft: next });
  commit(next);
}

/** Search by a box once keys rest. */
function commit(box) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (state.draft === box) choosePart({ box, dot: null }); // else it was another photo's
  }, WAIT);
}

function measured(event) {
  const { naturalWidth: width, naturalHeight: height } = event.target;
  if (!state.query.size && width) set({ query: { ...state.query, size: [width, height] } });
}
