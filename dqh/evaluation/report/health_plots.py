"""Pictures of the health of codes, as inline SVG in the manner of `plots`, each with a legend that says how to read it.

The map of codes is drawn in `code_map_plot`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from dqh.evaluation.code_map import CodeMap
from dqh.evaluation.health import BORDER, NEARLY_CONSTANT, Health
from dqh.evaluation.report.code_map_plot import map_legend, map_of_codes
from dqh.evaluation.report.health_findings import percent
from dqh.evaluation.report.plots import COLOURS, HEIGHT, INK, svg

GAPS_TO = 160
"""Bits up to which there is room for a gap between bars."""

NEGATIVE, POSITIVE = (34, 136, 204), (217, 95, 2)
"""Ends of the correlation scale: blue and orange that show on white and on near-black."""


class Picture(NamedTuple):
    """A picture: its name, an `<svg>` element for an HTML page, and what it shows and how to read it, as plain text."""

    name: str
    svg: str
    legend: str


def health_pictures(health: Mapping[str, Any] | None, code_map: CodeMap | None = None) -> list[Picture]:
    """Every picture that can be drawn, each id in them starting with `health-` and the picture's name."""
    pictures = []
    if health:
        legends = _legends(Health.from_json(health))
        for draw in (balance, entropy, correlation, collisions, saturation):
            drawn = draw(health, name=f"health-{draw.__name__}")
            if drawn:
                pictures.append(Picture(draw.__name__, drawn, legends[draw.__name__]))
    if code_map is not None:
        pictures.append(Picture("map", map_of_codes(code_map, name="health-map"), map_legend(code_map)))
    return pictures


def _legends(health: Health) -> dict[str, str]:
    about = f"{health.items:,} codes of {health.bits} bits."
    most, border = percent(1 - NEARLY_CONSTANT), percent(BORDER)
    embedding = health.saturation
    ends, middle = (percent(embedding.saturated), percent(embedding.undecided)) if embedding else ("", "")
    return {
        "balance": f"{about} Share of the items whose bit is 1; 0.5 is balanced. Orange: constant or nearly so, one "
        f"value in over {most} of the items.",
        "entropy": f"{about} Above: what each bit tells, 1 at most. Below: what whole codes tell, against the limits "
        "set by their bits and by the number of items.",
        "correlation": f"{about} Orange: two bits agree, blue: they are opposites; without colour: neither, or one of "
        "them is constant.",
        "collisions": collisions_legend(about),
        "saturation": f"{about} Values of the embedding they were cut from. Orange: {ends} lie within {border} of "
        f"the range of either end. Green: {middle} lie as near to the threshold, where little flips a bit.",
    }


def collisions_legend(about: str) -> str:
    """What the picture of collisions shows, of any kind of codes; `about` says which."""
    return (
        f"{about} Items by how many items have the same code, themselves included. Training by class puts the items of "
        "a class on few codes."
    )


def balance(health: Mapping[str, Any], *, name: str = "balance") -> str | None:
    """The share of ones of each bit, as bars up and down from 0.5; constant and nearly constant bits in orange.

    Of `Health.to_json()`, empty where there is none; None where there is nothing to draw. So are the other pictures.
    """
    if not health:
        return None
    read = Health.from_json(health)
    shares = np.array(read.balance)
    constant = np.minimum(shares, 1 - shares) < NEARLY_CONSTANT

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        bars(axis, shares, base=0.5, colours=[COLOURS[1] if dull else COLOURS[0] for dull in constant])
        axis.axhline(0.5, color=INK, linewidth=0.7)
        axis.set_title("Balance")
        axis.set_ylabel("share of ones")
        axis.set_ylim(0, 1)
        axis.set_yticks([0, 0.25, 0.5, 0.75, 1])
        _bit_axis(axis, read.bits)

    label = f"Balance: share of ones of {read.bits} bits, {min(read.balance):.2f} to {max(read.balance):.2f}"
    return svg(draw, name, label=label)


def entropy(health: Mapping[str, Any], *, name: str = "entropy") -> str | None:
    """The entropy of each bit above, that of whole codes and its limits below."""
    if not health:
        return None
    read = Health.from_json(health)
    totals = {
        "bits of a code": float(read.bits),
        "sum over the bits": read.bit_entropy_sum,
        "log2 of the items": float(np.log2(read.items)),
        "whole codes": read.code_entropy,
    }

    def draw(figure: Figure) -> None:
        above, below = figure.subplots(2, height_ratios=(1.5, 1))
        bars(above, np.array(read.bit_entropy))
        above.set_title("Entropy")
        above.set_ylabel("bits")
        above.set_ylim(0, 1)
        above.set_yticks([0, 0.5, 1])
        _bit_axis(above, read.bits)
        below.barh(list(totals), list(totals.values()), height=0.62, color=[COLOURS[6]] * 3 + [COLOURS[0]])
        for place, value in enumerate(totals.values()):
            below.text(value + 0.015 * max(totals.values()), place, f"{value:.1f}", va="center", fontsize=10)
        below.invert_yaxis()
        below.set_xlim(0, 1.12 * max(totals.values()))
        below.grid(visible=False)
        below.tick_params(length=0)
        below.set_xticks([])
        below.spines["bottom"].set_visible(False)

    label = "Entropy in bits: " + ", ".join(f"{what} {value:.1f}" for what, value in totals.items())
    return svg(draw, name, label=label, height=HEIGHT + 0.4)


def correlation(health: Mapping[str, Any], *, name: str = "correlation") -> str | None:
    """The correlation of every pair of bits as a heat map, transparent at 0; None where it was not kept."""
    if not health or health["correlation"] is None or health["bits"] < 2:
        return None
    read = Health.from_json(health)

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        axis.imshow(_shades(np.array(read.correlation)), interpolation="none")
        axis.set_title("Correlation of bits")
        axis.set_xlabel("bit")
        axis.set_ylabel("bit")
        for ticks in (axis.xaxis, axis.yaxis):
            ticks.set_major_locator(MaxNLocator(6, integer=True))
        axis.grid(visible=False)
        scale = axis.inset_axes((1.05, 0.0, 0.045, 1.0))
        ramp = _shades(np.linspace(1, -1, 64)[:, None])
        scale.imshow(ramp, interpolation="none", aspect="auto", extent=(0, 1, -1, 1))
        scale.set_xticks([])
        scale.set_yticks([-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"])
        scale.yaxis.tick_right()
        scale.grid(visible=False)
        for side in ("right", "top"):
            axis.spines[side].set_visible(True)
            scale.spines[side].set_visible(True)

    label = f"Correlation of {read.bits} bits, {read.mean_correlation:.2f} on average, signs aside"
    return svg(draw, name, label=label, height=HEIGHT + 0.6)


def collisions(health: Mapping[str, Any], *, name: str = "collisions") -> str | None:
    """The share of items by the size of the group that has the same code, in groups of doubling size.

    Of `health` only `items`, `sharing`, `distinct` and `colliding` are read, which codes of any kind may have.
    """
    if not health:
        return None
    sharing = health["sharing"]
    shares = np.zeros(max(4, len(sharing)))
    shares[: len(sharing)] = np.array(sharing) / health["items"]
    sizes = ["1", "2"] + [f"{2**power // 2 + 1:,}–{2**power:,}" for power in range(2, len(shares))]
    crowded = len(shares) > 6

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        bars(axis, shares)
        for place in np.flatnonzero(shares).tolist():
            size = 6 if len(shares) > 14 else 7 if crowded else 9
            text = _tag(shares[place], crowded=crowded)
            axis.text(place, shares[place], text, ha="center", va="bottom", fontsize=size)
        axis.set_title("Collisions")
        axis.set_xlabel("items with the same code")
        axis.set_ylabel("share of the items")
        axis.set_xlim(-0.6, len(shares) - 0.4)
        slanted: dict[str, Any] = (
            {"rotation": 35, "ha": "right", "rotation_mode": "anchor", "fontsize": 9} if crowded else {}
        )
        axis.set_xticks(range(len(shares)), sizes, **slanted)
        _share_axis(axis, shares)

    label = (
        f"Collisions: {health['distinct']:,} distinct codes, {percent(health['colliding'])} of the items share theirs"
    )
    return svg(draw, name, label=label)


def _tag(share: float, *, crowded: bool) -> str:
    """A share above its bar, short enough to leave its neighbours room; where bars are many, the axis has the unit.

    Example:
        >>> _tag(0.0004, crowded=True), _tag(0.125, crowded=True)
        ('<0.1', '12.5')
    """
    text = percent(share).replace("under ", "<").replace("over ", ">")
    return text.removesuffix("\N{NO-BREAK SPACE}%") if crowded else text


def saturation(health: Mapping[str, Any], *, name: str = "saturation") -> str | None:
    """A histogram of the embedding's values, the ends of their range and its middle in colours of their own."""
    read = Health.from_json(health).saturation if health else None
    if read is None:
        return None
    counts = np.array(read.histogram)
    shares, parts = counts / counts.sum(), len(counts)
    colours = [COLOURS[0]] * parts
    colours[0] = colours[-1] = COLOURS[1]
    colours[parts // 2 - 1] = colours[parts // 2] = COLOURS[2]

    def draw(figure: Figure) -> None:
        axis = figure.add_subplot()
        bars(axis, shares, colours=colours)
        axis.set_title("Saturation")
        axis.set_xlabel("value of the embedding")
        axis.set_ylabel("share of the values")
        places = np.linspace(0, 1, 5)
        values = [f"{read.low + place * (read.high - read.low):g}".replace("-", "−") for place in places]
        axis.set_xticks(places * parts - 0.5, values)
        axis.set_xlim(-0.7, parts - 0.3)
        _share_axis(axis, shares)

    label = f"Saturation: {percent(read.saturated)} of the values at the ends, {percent(read.undecided)} undecided"
    return svg(draw, name, label=label)


def _share_axis(axis: Axes, shares: NDArray[np.float64]) -> None:
    axis.set_ylim(0, 1.08 * shares.max())
    axis.grid(visible=False, axis="x")
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def bars(
    axis: Axes,
    heights: NDArray[np.float64],
    *,
    base: float = 0.0,
    colours: Sequence[str] | None = None,
    opacity: float = 1.0,
) -> None:
    """Bars at 0, 1, 2 …, one path a colour however many there are."""
    half = 0.4 if len(heights) <= GAPS_TO else 0.5
    shades = np.array(colours or [COLOURS[0]] * len(heights))
    for colour in np.unique(shades):
        places = np.flatnonzero(shades == colour)
        left, right, top = places - half, places + half, heights[places]
        bottom = np.full(len(places), base)
        corners = np.stack([[left, bottom], [left, top], [right, top], [right, bottom]], axis=-1).transpose(1, 2, 0)
        axis.add_patch(
            PathPatch(Path.make_compound_path_from_polys(corners), facecolor=colour, edgecolor="none", alpha=opacity)
        )


def _bit_axis(axis: Axes, bits: int) -> None:
    axis.set_xlabel("bit")
    axis.set_xlim(-0.7, bits - 0.3)
    axis.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axis.grid(visible=False, axis="x")


def _shades(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(…, 4) RGBA of correlations, |r| as opacity, so that 0 has the colour of the page."""
    colours = np.where(values[..., None] < 0, NEGATIVE, POSITIVE)
    opacity = np.round(255 * np.abs(values))[..., None]
    return np.concatenate([colours, opacity], axis=-1).astype(np.uint8)
