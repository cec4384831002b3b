// What went wrong, in words, and what can be done about it.

import { html, nothing } from "./html.js";
import { session } from "./session.js";
import { set, state } from "./store.js";

const TITLES = {
  0: "No connection",
  400: "This cannot be asked",
  401: "This service wants its token",
  403: "Not allowed",
  404: "It is not there",
  409: "This index cannot do that",
  413: "The photo is too large",
  422: "This photo cannot be used",
  429: "Too many requests",
  503: "The service is busy",
};

const FINAL = new Set([400, 413, 422]); // of what is asked: it is answered so again

/** The problem there is, or that the service is waited for. */
export function notes() {
  const { problem, wait } = state;
  if (wait) return html`<p class="note" role="status">The service is busy; asking again in ${wait} s.</p>`;
  if (!problem) return nothing;
  const { error, again } = problem;
  if (error.status === 401) return session(again);
  return html`<div class="note bad" role="alert">
    <h2>${TITLES[error.status] ?? "The service failed"}</h2>
    <p>${error.message}</p>
    ${error.requestId && error.status >= 500 ? html`<p class="hint">Its log knows it as ${error.requestId}.</p>` : nothing}
    ${FINAL.has(error.status) ? nothing : html`<button @click=${() => retry(again)}>Try again</button>`}
    <button class="quiet" @click=${() => set({ problem: null })}>Dismiss</button>
  </div>`;
}

function retry(again) {
  set({ problem: null });
  again();
}
