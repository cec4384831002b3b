// The address of what is shown, so that it may be kept and shared, and what an address asks for.

import { parsed, written } from "./box.js";

const AMONG = ["images", "objects", "lens"];

/** What an address asks for; what makes no sense in it is left out. */
export function asked(search) {
  const given = new URLSearchParams(search);
  const number = (name) => (/^\d{1,18}$/.test(given.get(name) ?? "") ? Number(given.get(name)) : null);
  const colour = given.get("colour") ?? "";
  return {
    id: number("id"),
    upload: number("upload"),
    cluster: number("cluster"),
    clusters: given.has("clusters"),
    box: parsed(given.get("box"), 4),
    dot: parsed(given.get("dot"), 2),
    among: AMONG.includes(given.get("among")) ? given.get("among") : null,
    words: given.getAll("word").slice(0, 20),
    colour: /^[0-9a-f]{6}$/.test(colour) ? `#${colour}` : null,
  };
}

/** The address of what is shown. */
export function addressOf({ view, query, part, among, words, colour, cluster }) {
  const given = new URLSearchParams();
  if (view === "clusters") {
    if (cluster) given.set("cluster", cluster.number);
    else given.set("clusters", "");
  }
  if (view === "query" && query?.kind === "item") given.set("id", query.id);
  if (view === "query" && query && query.kind !== "item") given.set("upload", query.number);
  if (part?.dot) given.set("dot", written(part.dot));
  else if (part) given.set("box", written(part.box));
  if (view === "query" && among !== "images") given.set("among", among);
  for (const word of words) given.append("word", word);
  if (colour) given.set("colour", colour.slice(1));
  const query_ = given.toString().replaceAll("%2C", ",").replace("clusters=", "clusters");
  return query_ ? `?${query_}` : "/";
}
