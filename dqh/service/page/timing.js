// How long every stage of every answer took, as the service and the browser tell it.

import { html, nothing } from "./html.js";
import { set, state } from "./store.js";

const KEPT = 12;
const NESTED = new Set(["filter", "coarse", "fine"]); // parts of the stage "search"

/** Keep the times of an answer that has any. */
export function keep({ what, seconds, total }) {
  if (seconds.total === undefined) return;
  const stages = Object.entries(seconds).filter(([stage]) => stage !== "total");
  const timing = { what, own: 1000 * seconds.total, total, stages: stages.map(([stage, value]) => [stage, 1000 * value]) };
  set({ timings: [timing, ...state.timings].slice(0, KEPT) });
}

/** The table, where it is wanted. */
export function timing() {
  if (!state.showsTimings) return nothing;
  const longest = Math.max(1, ...state.timings.map(({ total }) => total));
  return html`<section class="timing" id="timing" aria-label="Timing" tabindex="0">
    <h2>Timing, milliseconds</h2>
    <table>
      <thead>
        <tr>
          <th scope="col">asked</th>
          <th scope="col" class="number">seen here</th>
          <th scope="col" class="number">in the service</th>
          <th scope="col">stages</th>
        </tr>
      </thead>
      <tbody>
        ${state.timings.map((own) => row(own, longest))}
      </tbody>
    </table>
  </section>`;
}

function row({ what, own, total, stages }, longest) {
  const share = (value) => `${((100 * value) / longest).toFixed(1)}%`;
  return html`<tr>
    <th scope="row">${what}</th>
    <td class="number">${total.toFixed(0)}</td>
    <td class="number">${own.toFixed(0)}</td>
    <td>
      <svg class="bar" aria-hidden="true">
        <rect class="all" width=${share(total)} height="100%" />
        <rect class="part" width=${share(own)} height="100%" />
      </svg>
      <span class="stages">${stages.map(stage)}</span>
    </td>
  </tr>`;
}

function stage([name, value]) {
  return html`<span class=${NESTED.has(name) ? "nested" : ""}>${name} ${value.toFixed(value < 10 ? 1 : 0)}</span>`;
}
