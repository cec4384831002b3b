// The clusters of the index: a mosaic of each, and the members of one from its centre to its rim.

import { askClusters, openClusters, openItem } from "./asking.js";
import { grid, hide } from "./grid.js";
import { html, nothing } from "./html.js";
import { open } from "./preview.js";
import { state } from "./store.js";
import { counted, percent } from "./words.js";

const CLEAR = 0.6; // share of the labels from which one of them names a cluster

/** The clusters, or the one that was chosen. */
export function clusters() {
  return state.cluster ? members(state.cluster) : list(state.clusters);
}

function list(known) {
  if (!known) return waiting();
  return html`<section aria-labelledby="clusters">
    <div class="bar-of-list"><h1 id="clusters" tabindex="-1">${counted(known.total, "cluster")}, the largest first</h1></div>
    <ul class="clusters">
      ${known.clusters.map(card)}
    </ul>
    ${more(known.next, null)}
  </section>`;
}

function card(cluster) {
  return html`<li>
    <button @click=${() => openClusters(cluster.number)}>
      <span class="mosaic">
        ${cluster.items.map(({ thumbnail }) => html`<img src=${thumbnail} alt="" loading="lazy" decoding="async" @error=${hide} />`)}
      </span>
      <span class="about">${named(cluster)} <small>${about(cluster)}</small></span>
    </button>
  </li>`;
}

function members(cluster) {
  if (!cluster.items) return waiting();
  return html`<section aria-labelledby="clusters">
    <div class="bar-of-list">
      <h1 id="clusters" tabindex="-1">${named(cluster)}</h1>
      <button class="quiet" @click=${() => openClusters()}>All clusters</button>
    </div>
    <p class="hint">${about(cluster)}; from the centre to the rim.</p>
    ${cluster.items.length
      ? grid(cluster.items, { open, search: (item) => openItem(item.id), label: named(cluster) })
      : html`<p class="alone">All of its photos have been removed from the index.</p>`}
    ${more(cluster.next, cluster.number)}
  </section>`;
}

function named({ number, labels, purity }) {
  return labels.length ? labels.slice(0, purity > CLEAR ? 1 : 2).join(", ") : `Cluster ${number}`;
}

function about({ members: count, purity, labels }) {
  return purity === null ? counted(count, "photo") : `${counted(count, "photo")}, ${percent(purity)} ${labels[0]}`;
}

function more(next, number) {
  if (next === null) return nothing;
  const isBusy = state.busy.has("clusters");
  const ask = () => isBusy || askClusters(number);
  return html`<p class="more" data-refuge=".clusters li:last-child button, .tile:last-child .open">
    <button aria-disabled=${isBusy} @click=${ask}>More</button>
  </p>`;
}

function waiting() {
  return html`<h1 tabindex="-1">Clusters</h1>
    ${state.busy.has("clusters") ? html`<p class="hint" role="status">Loading …</p>` : nothing}`;
}
