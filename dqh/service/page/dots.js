// The dots of a photo: one in the middle of each object, to be chosen by pointer or keys.

import { choosePart } from "./asking.js";
import { svg } from "./html.js";
import { state } from "./store.js";
import { percent } from "./words.js";

/** The dots. */
export function dots() {
  const chosen = state.part?.dot;
  return (state.objects ?? []).map((object) => {
    const isChosen = chosen ? object.dot[0] === chosen[0] && object.dot[1] === chosen[1] : false;
    const [x, y] = object.dot.map((share) => `${(100 * share).toFixed(3)}%`);
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

function label({ object, score, words }) {
  const name = words?.[0]?.word ?? object ?? "an object";
  return score === null ? name : `${name}, ${percent(score)} sure`;
}

function pressed(event, choose) {
  if (event.key !== "Enter" && event.key !== " ") return;
  event.preventDefault();
  choose();
}
