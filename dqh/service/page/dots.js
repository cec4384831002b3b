// The dots of a photo: one in the middle of each object, to be chosen by pointer or keys.

import { choosePart } from "./asking.js";
import { svg } from "./html.js";
import { state } from "./store.js";
import { percent } from "./words.js";

const APART = 0.07; // of the width, that dots lie from one another

/** The dots. */
export function dots() {
  const chosen = state.part?.dot;
  const objects = state.objects ?? [];
  const places = spread(objects.map(({ dot }) => dot));
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

/** The places of dots, each beside those before it that would lie under it. */
function spread(dots) {
  const [width, height] = state.query.size ?? [1, 1];
  const down = (APART * width) / height;
  const steps = [0, 1, -1, 2, -2].flatMap((y) => [0, 1, -1, 2, -2].map((x) => [x * APART, y * down]));
  const places = [];
  for (const [x, y] of dots) {
    const isFree = ([dx, dy]) =>
      places.every((own) => Math.hypot((own[0] - x - dx) / APART, (own[1] - y - dy) / down) >= 0.9) &&
      [x + dx, y + dy].every((share) => share > 0 && share < 1);
    const [dx, dy] = steps.find(isFree) ?? [0, 0];
    places.push([x + dx, y + dy]);
  }
  return places;
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
