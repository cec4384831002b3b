"""Photos with true and found boxes, the best, the typical and the worst, as inline SVG in the manner of `plots`."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from matplotlib.typing import LineStyleType

from dqh.evaluation.detection_photos import PhotoMatch, ShownPhoto
from dqh.evaluation.report.plots import COLOURS, INK, svg

COLUMNS = 4

# inches
WIDTH = 8.4
PHOTO = (1.98, 1.7)
"""The largest width and height of a photo."""
_GAP, _HEADING, _CAPTION, _LEGEND = 0.12, 0.3, 0.34, 0.4
_ROW = _HEADING + _CAPTION + PHOTO[1] + _GAP

GROUPS = {
    "best": "Best photos by F1",
    "typical": "Typical photos, around the median",
    "worst": "Worst photos, where to look for what goes wrong",
}
_BLUE, _ORANGE, _GREEN, _PINK = COLOURS[:4]
KINDS: Mapping[str, tuple[str, LineStyleType]] = {
    "found, right": (_GREEN, "-"),
    "found, wrong": (_ORANGE, "-"),
    "true, found": (_BLUE, "--"),
    "true, missed": (_PINK, "--"),
    "difficult, or found in one": (COLOURS[6], ":"),
}
"""Colour and line of each kind of box."""

_RIGHT, _WRONG, _HIT, _MISSED, _IGNORED = KINDS
_LETTERS = 34


def detection_plot(photos: Sequence[ShownPhoto], class_names: Sequence[str], *, name: str = "photos") -> str | None:
    """The photos with their boxes as an `<svg>` element for a page; None where there are none.

    A row a group. Solid lines are found boxes with class and score, dashed ones true boxes, dotted ones count nowhere;
    the caption has the F1 of the photo, how many of its true boxes were found, and how many found boxes are wrong.
    """
    if not photos:
        return None
    groups = ", ".join(f"{photo.group} F1 {photo.match.f1:.2f}" for photo in photos)
    return svg(
        lambda figure: draw_photos(figure, photos, class_names),
        name,
        label=f"Photos with true and found boxes: {groups}",
        height=height_of(photos),
        width=WIDTH,
    )


def height_of(photos: Sequence[ShownPhoto]) -> float:
    """Inches that photos take, a row a group; their width is `WIDTH`."""
    return len({photo.group for photo in photos}) * _ROW + _LEGEND


def draw_photos(figure: Figure, photos: Sequence[ShownPhoto], class_names: Sequence[str]) -> None:
    """Draw the photos on an empty figure of `WIDTH` × `height_of` inches, for an SVG or a file of pixels."""
    figure.set_layout_engine("none")  # which would make a column as wide as its heading
    width, height = figure.get_size_inches()
    groups = [
        (heading, members)
        for group, heading in GROUPS.items()
        if (members := [photo for photo in photos if photo.group == group])
    ]
    for row, (heading, members) in enumerate(groups):
        top = height - row * _ROW
        figure.text(_GAP / width, (top - 0.2) / height, heading, fontsize=10, fontweight="bold", color=INK)
        bottom = top - _HEADING - _CAPTION - PHOTO[1]
        for column, photo in enumerate(members[:COLUMNS]):
            left = _GAP + column * (PHOTO[0] + _GAP / 2)
            axis = figure.add_axes((left / width, bottom / height, PHOTO[0] / width, PHOTO[1] / height))
            axis.set_axis_off()
            axis.set_anchor("NW")
            _draw_photo(axis, photo, class_names)
    handles = [Line2D([], [], color=colour, linestyle=style, linewidth=1.8) for colour, style in KINDS.values()]
    figure.legend(handles, list(KINDS), loc="lower left", ncols=len(KINDS), fontsize=8, handlelength=1.8)


def _draw_photo(axis: Axes, photo: ShownPhoto, class_names: Sequence[str]) -> None:
    width, height = photo.size
    axis.imshow(photo.image, extent=(0, width, height, 0), interpolation="antialiased")
    match = photo.match
    axis.set_title(f"{_caption(match)}\n{_end(os.path.basename(photo.id))}", fontsize=7, fontweight="normal", pad=3)  # noqa: PTH119
    for box, number, difficult, hit in zip(*(part.tolist() for part in match.truth), match.hit.tolist(), strict=True):
        kind = _IGNORED if difficult else _HIT if hit else _MISSED
        _draw_box(axis, box, kind, text="" if hit else class_names[number], size=photo.size, below=True)
    parts = (match.boxes, match.classes, match.scores, match.right, match.ignored)
    for box, number, score, right, ignored in zip(*(part.tolist() for part in parts), strict=True):
        kind = _RIGHT if right else _IGNORED if ignored else _WRONG
        _draw_box(axis, box, kind, text=f"{class_names[number]} {score:.2f}", size=photo.size)


def _draw_box(
    axis: Axes, box: Sequence[float], kind: str, *, text: str, size: tuple[int, int], below: bool = False
) -> None:
    """A box with a text at its upper left corner, or `below` at the lower one, inside the photo."""
    x0, y0, x1, y1 = box
    colour, style = KINDS[kind]
    line = 1.5 if style == "-" else 1.2
    whole = {"dash_offset": 0, "dash_list": None}
    halo = [Stroke(linewidth=line + 1.4, foreground="white", alpha=0.75, dashes=whole), Normal()]
    axis.add_patch(
        Rectangle(
            (x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linestyle=style, linewidth=line, path_effects=halo
        )
    )
    if text:
        place: dict[str, Any] = {"x": x0, "y": y1 if below else y0, "ha": "left", "va": "bottom" if below else "top"}
        if x0 > 0.7 * size[0]:
            place |= {"x": x1, "ha": "right"}
        background = {"facecolor": colour, "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
        axis.text(**place, s=text, fontsize=5.5, color="white", bbox=background, clip_on=True)


def _caption(match: PhotoMatch) -> str:
    true = int((~match.truth.difficult).sum())
    wrong = int(match.wrong.sum())
    what = f"{int(match.hit.sum())} of {true} found" if true else "nothing to find"
    return f"F1 {match.f1:.2f} · {what}" + f", {wrong} wrong" * bool(wrong)


def _end(text: str) -> str:
    """The end of a name, which tells those of one folder apart; what does not print shows as a question mark."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= _LETTERS else f"…{line[-_LETTERS + 1 :]}"
