"""The health of product-quantized codes on a report: how their codewords are used, in words and as a picture.

Few codewords in use are what training by class can lead to: no finding calls them an error.

M subspaces, K codewords in each.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dqh.evaluation.report.health_findings import on_codes, percent
from dqh.evaluation.report.health_plots import Picture, bars, collisions, collisions_legend
from dqh.evaluation.report.plots import COLOURS, INK, svg
from dqh.evaluation.report.table import finite, mapping_at
from dqh.quantizers import QUANTIZERS

MANY_DEAD = 0.1
"""Share of a subspace's codewords without an item from which its bar is orange and the finding says what that means."""

FAR_BELOW = 0.5
"""Share of K below which a mean perplexity counts as far below K."""

LITTLE_LOST, MUCH_LOST = 0.01, 0.5
"""Quantization errors relative to ‖z‖² below and above which the finding says what that means."""


class Usage(NamedTuple):
    """Use of the codebooks by the database.

    Attributes:
        bits: B = M · log2 K.
        codewords: K.
        perplexity: exp of the entropy of the codewords' frequencies, 1 … K, a subspace each.
        dead: codewords that no item has, a subspace each.
        error: mean ‖z − y‖² over mean ‖z‖², y the decoded code of an embedding z; None where it is not known.
        items: of the database; None where their number is not known.
    """

    bits: int
    codewords: int
    perplexity: tuple[float, ...]
    dead: tuple[int, ...]
    error: float | None
    items: int | None

    @property
    def subspaces(self) -> int:
        """M."""
        return len(self.perplexity)


def usage_of(metrics: Mapping[str, object]) -> Usage | None:
    """What `health` says of product-quantized codes; None where it is of another kind or the bits are not known."""
    health, protocol = mapping_at(metrics, "health"), mapping_at(metrics, "protocol")
    perplexity, dead, bits = health.get("perplexity"), health.get("dead"), finite(protocol.get("bits"))
    kind = QUANTIZERS.get(str(health.get("kind")))
    if (
        kind is None
        or "l2" not in kind.distances
        or not isinstance(perplexity, list)
        or not isinstance(dead, list)
        or not bits
    ):
        return None
    items = finite(protocol.get("database"))
    return Usage(
        bits=int(bits),
        codewords=2 ** round(bits / len(perplexity)),
        perplexity=tuple(map(float, perplexity)),
        dead=tuple(map(int, dead)),
        error=finite(health.get("error")),
        items=None if items is None else int(items),
    )


def codebook_findings(usage: Usage, health: Mapping[str, object]) -> list[str]:
    """A sentence or two each on use of codewords, dead ones, the quantization error and, if known, distinct codes."""
    findings = [_on_perplexity(usage), _on_dead(usage), _on_error(usage)]
    return [*(sentence for sentence in findings if sentence), *([on_codes(health)] if "sharing" in health else [])]


def codebook_pictures(usage: Usage, health: Mapping[str, object]) -> list[Picture]:
    """The use of the codewords and, where it is known, how many items share a code."""
    pictures = [Picture("codewords", codeword_use(usage, name="health-codewords"), _legend(usage))]
    shared = collisions(health, name="health-collisions") if "sharing" in health else None
    if shared:
        pictures.append(Picture("collisions", shared, collisions_legend(_about(usage))))
    return pictures


def _on_perplexity(usage: Usage) -> str:
    low, high, mean = min(usage.perplexity), max(usage.perplexity), sum(usage.perplexity) / usage.subspaces
    carried = sum(map(math.log2, usage.perplexity))
    text = (
        f"A subspace has {usage.codewords:,} codewords and uses them as evenly as {low:,.1f} to {high:,.1f} equally "
        f"frequent ones (perplexity), {mean:,.1f} in the mean of {usage.subspaces:,}; if subspaces were independent, "
        f"codes of this use would carry {carried:.1f} of {usage.bits:,} bits."
    )
    if mean < FAR_BELOW * usage.codewords:
        text += (
            f" That is under {percent(FAR_BELOW)} of the codewords: training by class can lead to it, a few "
            "codewords a class; codes made without classes lose detail by it."
        )
    return text


def _on_dead(usage: Usage) -> str:
    dead, every = sum(usage.dead), usage.subspaces * usage.codewords
    if not dead:
        return f"Every one of the {every:,} codewords has an item."
    text = (
        f"{dead:,} of {every:,} codewords are dead, no item has them: {min(usage.dead):,} to {max(usage.dead):,} in a "
        "subspace."
    )
    many = [str(place) for place, count in enumerate(usage.dead) if count > MANY_DEAD * usage.codewords]
    if many:
        named = f"{', '.join(many[:8])}{' …' if len(many) > 8 else ''}"
        text += (
            f" {len(many):,} of {usage.subspaces:,} subspaces ({named}) have more than {percent(MANY_DEAD)} of theirs "
            "dead: room in the code that tells nothing; fewer codewords in more subspaces would use it."
        )
    return text


def _on_error(usage: Usage) -> str:
    if usage.error is None:
        return ""
    lost = percent(usage.error)
    text = f"Quantization loses {lost} of the embedding (mean ‖z − y‖² over mean ‖z‖², y the decoded code of z)."
    if usage.error > MUCH_LOST:
        text += (
            " Distances to codes then say little of distances to embeddings: compare the rows with and without "
            "quantization; more bits, or a larger weight of the quantization loss, bring them together."
        )
    elif usage.error < LITTLE_LOST:
        text += (
            " That is next to nothing: embeddings lie on few points, which training by class aims at, or there are "
            "nearly as many codewords as different items."
        )
    return text


def _about(usage: Usage) -> str:
    codes = "Codes" if usage.items is None else f"{usage.items:,} codes"
    return f"{codes} of {usage.bits} bits, {usage.subspaces:,} subspaces of {usage.codewords:,} codewords."


def _legend(usage: Usage) -> str:
    return (
        f"{_about(usage)} Full bars: perplexity, as many equally frequent codewords would be used as evenly; pale: "
        f"codewords that any item has; dotted: all {usage.codewords:,}. Orange: over {percent(MANY_DEAD)} are dead."
    )


def codeword_use(usage: Usage, *, name: str = "codewords") -> str:
    """Perplexity and codewords in use of each subspace, as bars below the number of codewords."""
    used = usage.codewords - np.array(usage.dead, np.float64)
    crowded = np.array(usage.dead) > MANY_DEAD * usage.codewords
    colours = [COLOURS[1] if many else COLOURS[0] for many in crowded]

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        bars(axis, used, colours=colours, opacity=0.3)
        bars(axis, np.array(usage.perplexity), colours=colours)
        axis.axhline(usage.codewords, color=INK, linewidth=0.9, linestyle=(0, (2, 2)))
        axis.set_title("Use of the codewords")
        axis.set_xlabel("subspace")
        axis.set_ylabel("codewords")
        axis.set_xlim(-0.7, usage.subspaces - 0.3)
        axis.set_ylim(0, 1.06 * usage.codewords)
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axis.grid(visible=False, axis="x")

    label = (
        f"Use of the codewords: perplexity {min(usage.perplexity):.1f} to {max(usage.perplexity):.1f} of "
        f"{usage.codewords:,} in {usage.subspaces:,} subspaces, {sum(usage.dead):,} dead"
    )
    return svg(draw, name, label=label)
