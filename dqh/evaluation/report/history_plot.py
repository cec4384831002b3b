"""What else a training logged, as inline SVG: every loss term and every diagnostic, whatever the method calls them."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dqh.evaluation.report.plots import COLOURS, Points, line, points_of, svg, validation_metric

COLUMNS = 2
PANEL_HEIGHT = 1.55  # inches
MOST = 12
"""Panels drawn at most."""

COLOUR = {"train": COLOURS[0], "val": COLOURS[1]}


def further_curves(history: Sequence[Mapping[str, object]], *, name: str = "further") -> str | None:
    """Every `train/…` and `val/…` column that `learning_curve` does not show, a panel a name, over the epochs.

    Training and validation stand in one panel where both have the name. A term that is the whole loss, and so shown
    already, is left out.

    None where there is nothing more to draw.
    """
    panels = further_panels(history)
    if not panels:
        return None
    lines = -(-len(panels) // COLUMNS)

    def draw(figure: Figure) -> None:
        axes = figure.subplots(lines, COLUMNS, sharex=True, squeeze=False).ravel()
        for axis, (title, parts) in zip(axes, panels.items(), strict=False):
            for part, points in parts.items():
                line(axis, points, colour=COLOUR[part], width=1.5)
            axis.set_title(title, fontsize=10)
            axis.yaxis.set_major_locator(MaxNLocator(3))
            axis.margins(y=0.12)
            axis.tick_params(labelsize=9)
        for place, axis in enumerate(axes):
            axis.set_visible(place < len(panels))
            if place + COLUMNS >= len(panels):
                axis.set_xlabel("epoch", fontsize=10)
                axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
                axis.tick_params(labelbottom=True)

    label = f"Further curves of the training: {', '.join(panels)}"
    return svg(draw, name, label=label, height=PANEL_HEIGHT * lines + 0.3)


def further_panels(history: Sequence[Mapping[str, object]]) -> dict[str, dict[str, Points]]:
    """Title → part (`train` or `val`) → points, as `further_curves` draws them, at most `MOST`.

    Example:
        >>> further_panels([{"epoch": 1, "train/loss": 2.0, "val/mAP": 0.5, "val/quantization_error": 0.25}])
        {'quantization error': {'val': [(1.0, 0.25)]}}
    """
    shown = validation_metric(history)
    keys = [key for key in dict.fromkeys(key for row in history for key in row) if key != shown]
    loss = points_of(history, "train/loss")
    panels: dict[str, dict[str, Points]] = {}
    for key in keys:
        part, slash, quantity = key.partition("/")
        points = points_of(history, key) if slash and part in COLOUR else []
        if points and (key == "train/loss" or points != loss):
            panels.setdefault(quantity.replace("_", " "), {})[part] = points
    if set(panels.get("loss", {})) == {"train"}:
        del panels["loss"]
    return dict(list(panels.items())[:MOST])
