"""The picture of a sweep: mAP, or AP of boxes, against bits or the first other setting swept, with error bars."""

import io
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from dqh.evaluation.report.plots import COLOURS, DASHES, STYLE
from dqh.evaluation.report.table import COMPARED, finite
from dqh.training.sweep_summary import Combination, Spread

METRIC, OF_BOXES = "mAP@all", "AP@.5"
CHARACTERS = 66
"""Of a line below the axis."""
WIDTH, HEIGHT = 6.4, 4.4  # inches
PAPER: dict[Any, Any] = {"grid.color": "#dddddd", "svg.fonttype": "path", "savefig.facecolor": "white"}
"""What differs from the pictures of a report: a file of its own has its own colours and letters."""

APART = 0.03  # between lines, so that equal values do not hide each other; values are 1 apart

Points = dict[int, Spread]


def draw(combinations: Sequence[Combination], *, about: str = "", ceiling: str = "") -> Figure | None:
    """Mean mAP@all, or AP@.5, over the values of a setting, one line a way of searching, bars of a standard deviation.

    Values stand at equal distances, as tables have them. Where a further setting was swept, there is a line for each
    of its values instead, of the codes alone. Rows that are there to be compared with stay in the table.

    Args:
        combinations: of the complete cells.
        about: what was measured: the protocol and its sizes.
        ceiling: what a perfect ranking scores, where that is below 1.

    Returns:
        The figure, or None where no setting but the seed has two values, or nothing is complete.
    """
    settings = [combination.settings for combination in combinations]
    varied = [key for key in (settings[0] if settings else {}) if len({setting[key] for setting in settings}) > 1]
    if not varied:
        return None
    key, *others = varied
    values = _in_order({setting[key] for setting in settings})
    metric = METRIC if any(METRIC in combination.metrics for combination in combinations) else OF_BOXES
    lines: dict[str, Points] = {}
    for combination in combinations:
        if metric in combination.metrics and (combination.main if others else combination.search not in COMPARED):
            label = ", ".join([combination.search, *(f"{other}={combination.settings[other]}" for other in others)])
            lines.setdefault(label, {})[values.index(combination.settings[key])] = combination.metrics[metric]
    if not lines:
        return None
    seeds = sorted({combination.seeds for combination in combinations})
    over = "one seed" if seeds == [1] else f"mean ± sd over {'–'.join(map(str, seeds[:: len(seeds) - 1 or 1]))} seeds"
    with matplotlib.rc_context(STYLE | PAPER):
        figure = Figure(figsize=(WIDTH, HEIGHT + 0.24 * (math.ceil(len(lines) / 2) - 1)), layout="constrained")
        axis = figure.add_subplot()
        for number, (label, points) in enumerate(lines.items()):
            aside = APART * (number - (len(lines) - 1) / 2)
            places = sorted(points)
            axis.errorbar(
                [place + aside for place in places],
                [points[place].mean for place in places],
                yerr=[points[place].sd or 0.0 for place in places],
                label=label,
                color=COLOURS[number % len(COLOURS)],
                linestyle=DASHES[number % len(DASHES)],
                marker="o",
                markersize=4.5,
                linewidth=1.7,
                capsize=3.5,
            )
        axis.set_title(f"{metric} against {key}, {over}")
        axis.set_xticks(range(len(values)), values)
        axis.set_xlim(-0.5, len(values) - 0.5)
        below = [line for text in (about, ceiling) for line in textwrap.wrap(text, CHARACTERS)]
        axis.set_xlabel("\n".join(["bits of a code" if key == "bits" else key, *below]))
        axis.set_ylabel(metric)
        axis.margins(y=0.12)
        figure.legend(loc="outside lower left", ncols=2)
    return figure


def pictures(figure: Figure) -> Mapping[str, bytes]:
    """The figure as the content of an `svg` and a `png` file."""
    files: dict[str, bytes] = {}
    with matplotlib.rc_context(STYLE | PAPER):
        for kind, options in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 150})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, **options)
            files[kind] = buffer.getvalue()
    return files


def _in_order(values: Iterable[str]) -> list[str]:
    """Texts by name, `null` among them, then numbers by number."""
    numbers = {value: finite(value) for value in values}
    return sorted(numbers, key=lambda value: (numbers[value] is not None, numbers[value] or 0.0, value))
