// Large pictures; where one cannot be shown, why, in its place.

import { refusalOf } from "./api.js";
import { html, nothing } from "./html.js";
import { set } from "./store.js";

const reasons = new Map(); // by addresses of pictures that cannot be shown
const gone = new Set(); // addresses of those that the service does not have

/**
 * A picture.
 *
 * @param {string} url of it.
 * @param {object} how `alternative`: what it shows; `reason`: why it cannot be shown, where that need not be asked for;
 *   `load`: is told when it is there; `hasRetry`: whether it is offered to try again.
 */
export function picture(url, { alternative, reason = null, load = () => {}, hasRetry = false }) {
  if (!reasons.has(url)) {
    const missing = () => (reason === null ? askWhy(url) : tell(url, reason));
    return html`<img src=${url} alt=${alternative} draggable="false" @load=${load} @error=${missing} />`;
  }
  return html`<div class="missing">
    <p><span class="unseen">${alternative}: </span>${reason ?? reasons.get(url)}</p>
    ${hasRetry ? html`<button @click=${() => retry(url)}>Try again</button>` : nothing}
  </div>`;
}

/** Whether a picture cannot be shown, as far as is known. */
export function isMissing(url) {
  return reasons.has(url);
}

/** Whether the service does not have a picture, as far as is known. */
export function isGone(url) {
  return gone.has(url);
}

/** Try all pictures again: the index has changed. */
export function forgetReasons() {
  reasons.clear();
  gone.clear();
}

async function askWhy(url) {
  tell(url, "Its picture cannot be shown.");
  const problem = await refusalOf(url);
  if (problem?.status === 404) gone.add(url);
  if (problem) tell(url, `Its picture cannot be shown: ${problem.message}.`.replace(/\.\.$/, "."));
}

function tell(url, reason) {
  reasons.set(url, reason);
  set({});
}

function retry(url) {
  reasons.delete(url);
  gone.delete(url);
  set({});
}
