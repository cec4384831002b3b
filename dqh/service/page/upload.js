// Photos that come in: chosen, taken, dropped, or pasted.

import { openUpload } from "./asking.js";
import { html } from "./html.js";
import { can } from "./store.js";

/** The two ways to choose a file, as buttons; `name` keeps their fields apart. */
export function choices(name) {
  return html`<span class="choices">
    <input id=${`choose-${name}`} class="unseen" type="file" accept="image/*" @change=${chosen} />
    <label class="button first" for=${`choose-${name}`}>Choose a photo</label>
    <input id=${`take-${name}`} class="unseen camera" type="file" accept="image/*" capture="environment" @change=${chosen} />
    <label class="button camera" for=${`take-${name}`}>Take a photo</label>
  </span>`;
}

function chosen(event) {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (file) openUpload(file);
}

/** Take what is dropped or pasted anywhere on the page. */
export function listen() {
  const root = document.documentElement;
  let depth = 0; // of elements that something is dragged over
  const hasFile = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (hasFile(event) && can("upload") && ++depth === 1) root.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (hasFile(event) && depth && --depth === 0) root.classList.remove("dropping");
  });
  addEventListener("dragover", (event) => {
    if (hasFile(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    depth = 0;
    root.classList.remove("dropping");
    take(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) take(event.clipboardData.files);
  });
}

function take(files) {
  if (!can("upload")) return;
  const image = [...files].find(({ type }) => type.startsWith("image/")) ?? files[0];
  if (image) openUpload(image);
}
