// The templates of lit-html, in one place: what stands in them is text, never markup.

export { html, nothing, render, svg } from "./vendor/lit-html-3.3.3/lit-html.js";
export { repeat } from "./vendor/lit-html-3.3.3/directives/repeat.js";
