// The dots of a photo: one in the middle of each object, to be chosen by pointer or keys.

import { choosePart } from "./asking.js";
import { svg } from "./html.js";
import { state } from "./store.js";
import { percent } from "./words.js";

const APART = 0.063; // of the width, that dots lie from one another where their objects have room for it
const STEPS = [1 / 2, 1 / 3, 2 / 3, 1 / 6, 5 / 6]; // of an object, where its dot may be beside its middle

/** The dots. */
export function dots() {
  const chosen = state.part?.dot;
  const objects = state.objects ?? [];
  const places = spread(objects);
  return objects.map((object, number) => {
    const isChosen = chosen ? object.dot[0] === chosen[0] && object.dot[1] === chosen[1] : false;
    const [x, y] = places[number].map((share) => `${(100 * share).toFixed(3)}%`);
    const choose = () => choosePart(isChosen ? null : { box: object.box, dot: object.dot });
    return svg`<g class=${object.shown === false ? "dot faint" : "dot"} tabindex="0" role="button" aria-pressed=${isChosen} aria-label=${label(object)}
        @click=${choose} @keydown=${(event) => pressed(event, choose)}>
      <title>${label(object)}</title>
      <circle class="hold" cx=${x} cy=${y} r="16" />
      <circle class="ring" cx=${x} cy=${y} r="10" />
      <circle class="point" cx=${x} cy=${y} r="5" />
    </g>`;
  });
}

/** The places of dots: in the middle of each object, or elsewhere in it where another dot would lie over that. */
function spread(objects) {
  const [width, height] = state.query.size ?? [1, 1];
  const between = ([ax, ay], [bx, by]) => Math.hypot(ax - bx, ((ay - by) * height) / width);
  const places = [];
  for (const { box, dot } of objects) {
    const room = (place) => Math.min(...places.map((own) => between(own, place)));
    const able = within(box).sort((one, other) => between(one, dot) - between(other, dot));
    const isFree = (place) => room(place) >= APART;
    places.push([dot, ...able].find(isFree) ?? able.reduce((best, own) => (room(own) > room(best) ? own : best), dot));
  }
  return places;
}

function within([x0, y0, x1, y1]) {
  return STEPS.flatMap((down) => STEPS.map((across) => [x0 + across * (x1 - x0), y0 + down * (y1 - y0)]));
}

function label({ object, score, words }) {
  const name = words?.[0]?.word ?? object ?? "an object";
  return score === null ? name : `${name}, ${percent(score)} sure`;
}

function pressed(event, choose) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  choose();
}
