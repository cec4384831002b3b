// What an address names is not there: why, and where to go on.

import { home } from "./header.js";
import { html, nothing } from "./html.js";
import { can, state } from "./store.js";
import { choices } from "./upload.js";

/** The explanation. */
export function lost() {
  const { title, text } = state.lost;
  return html`<section class="hero">
    <h1 tabindex="-1">${title}</h1>
    <p>${text}</p>
    <p><a class="button" href="/" @click=${home}>To the start</a></p>
    ${can("upload") ? choices("lost") : nothing}
  </section>`;
}
