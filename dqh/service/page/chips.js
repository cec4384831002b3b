// Words and colours of a photo, each a button that filters the answers.

import { refine } from "./asking.js";
import { html, nothing } from "./html.js";
import { can, state } from "./store.js";
import { percent } from "./words.js";

const MOST = 8;
const HEX = /^#[0-9a-f]{6}$/i;

/** The words and colours of the query. */
export function chips() {
  const { understood, words, colour } = state;
  const known = [...(understood?.words ?? []), ...objectWords(understood)];
  const added = words.filter((word) => !known.some((own) => own.word === word)).map((word) => ({ word }));
  const shown = [...added, ...known].slice(0, Math.max(MOST, added.length));
  const colours = (understood?.colours ?? []).filter((own) => HEX.test(own.hex));
  const isOther = colour && !colours.some((own) => own.hex === colour);
  const swatches = isOther ? [...colours, { name: colour, hex: colour }] : colours;
  if (!known.length && !added.length && !swatches.length) return nothing;
  return html`<div class="chips" role="group" aria-label="Filter the answers" data-refuge=".chips button">
    ${shown.map(wordChip)} ${swatches.map(colourChip)}
    ${words.length || colour
      ? html`<button class="quiet" @click=${() => refine({ words: [], colour: null, shares: null })}>Clear</button>`
      : nothing}
  </div>`;
}

/** Kinds of objects in the photo that its words do not have. */
function objectWords(understood) {
  if (!can("objects")) return [];
  const surest = new Map();
  for (const { object, score } of understood?.objects ?? []) {
    if (object && !understood.words.some(({ word }) => word === object)) {
      surest.set(object, Math.max(score ?? 0, surest.get(object) ?? 0));
    }
  }
  return [...surest].map(([word, share]) => ({ word, share }));
}

/** The labels of the index, to choose photos by. */
export function labelChips() {
  const labels = Object.entries(state.known.labels).slice(0, 20);
  if (labels.length < 2) return nothing;
  return html`<div class="chips" role="group" aria-label="Photos of a label">
    ${labels.map(([word]) => wordChip({ word }))}
  </div>`;
}

function wordChip({ word, share, confidence }) {
  const { words } = state;
  const isOn = words.includes(word);
  const sure = confidence ?? share;
  const next = isOn ? words.filter((own) => own !== word) : state.view === "start" ? [word] : [...words, word];
  const isObject = !isOn && state.among === "images" && isKindOfObject(word);
  const changes = { words: next, ...(isObject ? { among: "objects" } : {}) };
  return html`<button class="chip" aria-pressed=${isOn} @click=${() => refine(changes)}>
    ${word}${sure === undefined || sure === null ? nothing : html` <small>${percent(sure)}</small>`}
  </button>`;
}

/** Whether objects alone are called so: whole photos are not, and none would be left. */
function isKindOfObject(word) {
  const { labels, tags, detector_classes: classes } = state.known;
  return can("objects") && classes.includes(word) && !Object.hasOwn(labels, word) && !Object.hasOwn(tags, word);
}

function colourChip({ name, hex, share }) {
  const isOn = state.colour === hex;
  const next = isOn ? { colour: null, shares: null } : { colour: hex };
  return html`<button class="chip" aria-pressed=${isOn} @click=${() => refine(next)}>
    <svg class="swatch" aria-hidden="true"><rect width="100%" height="100%" rx="3" fill=${hex} /></svg>${name}${share ===
    undefined
      ? nothing
      : html` <small>${percent(share)}</small>`}
  </button>`;
}
