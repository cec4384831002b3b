// Numbers and things in words.

/** `1 photo`, `3 photos`, `1,203 photos`. */
export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

/** A share as percent. */
export function percent(share) {
  return `${Math.round(100 * share)} %`;
}

/** A distance, bits as they are and others with three digits. */
export function distance(number) {
  return Number.isInteger(number) ? String(number) : number.toPrecision(3);
}

/** A source of a lens, as people call it. */
export function sourceName(name) {
  return { visual_search: "looks", object_search: "objects", image_search: "words" }[name] ?? name;
}

/** What a photo or an object is called: what it shows, else its file. */
export function called(item) {
  const words = [item.object, ...item.labels].filter(Boolean);
  return words.length ? [...new Set(words)].join(", ") : item.name;
}

/** What a picture shows, for who does not see it. */
export function alternative(item) {
  const shown = called(item);
  return shown === item.name ? `photo ${item.name}` : `${shown}: photo ${item.name}`;
}
