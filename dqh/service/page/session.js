// The token of a service that wants one: it is sent once, for a cookie, and kept nowhere here.

import { ask } from "./api.js";
import { html } from "./html.js";
import { set } from "./store.js";

/** The form; `again` is done when the token is right. */
export function session(again) {
  const send = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const field = form.elements.token;
    const refused = form.querySelector("output");
    refused.textContent = "";
    try {
      await ask("/v1/session", { json: { token: field.value } });
    } catch (error) {
      refused.textContent = error.message;
      field.setAttribute("aria-invalid", "true");
      field.select();
      return;
    }
    field.value = "";
    set({ problem: null });
    again();
  };
  return html`<form class="note session" @submit=${send}>
    <h2>This service wants its token</h2>
    <p>Who runs it has the token. It is sent once, and this browser keeps a cookie for it.</p>
    <label>Token <input name="token" type="password" autocomplete="current-password" required maxlength="4096" /></label>
    <button>Go on</button>
    <output role="alert"></output>
  </form>`;
}
