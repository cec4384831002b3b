// Where keys go on when what had the focus is gone: to what its surroundings name, else to the title of the page.

/** Draw; an element with `data-refuge` names, by a selector, what gets the focus of anything in it that is gone then. */
export function keepFocus(draw) {
  const before = document.activeElement;
  const refuges = refugesOf(before);
  draw();
  if (!before || before === document.body || document.activeElement !== document.body) return;
  const refuge = [...refuges, "h1"].map((selector) => document.querySelector(selector)).find(Boolean);
  refuge?.focus({ preventScroll: true });
}

/** The nearest first. */
function refugesOf(element) {
  const names = [];
  for (let own = element?.closest("[data-refuge]"); own; own = own.parentElement?.closest("[data-refuge]")) {
    names.push(own.dataset.refuge);
  }
  return names;
}
