"""How a study shows its rows: as a table for a terminal or a page, and as files in a folder."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dqh.conveniences import convenience
from dqh.evaluation.measure import Row
from dqh.evaluation.report.columns import RULE, aligned, in_markdown
from dqh.files import write_json, write_text

LEFT = ("network", "weights", "tap", "query", "database", "form", "distance", "search", "codes", "setting")
"""Columns of names, which are set to the left."""

_STYLE = (
    "<style>svg{color-scheme:light dark;--paper:#fff;--rule:#dde1e6;color:#191d22;"
    "--series-4:#b4578f;--series-5:#c98200;--series-6:#2e95d3;--series-7:#6f757c;--series-8:#4a3ab0;"
    "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}"
    "@media(prefers-color-scheme:dark){svg{--paper:#14171b;--rule:#323942;color:#e7eaee;"
    "--series-1:#56b0e8;--series-2:#f0873f;--series-3:#2fc596;--series-4:#dd8fbd;--series-5:#f0b43c;"
    "--series-6:#8fd0f5;--series-7:#a5abb2;--series-8:#a79cf7;--series-9:#e0709f;--series-10:#cfcf62;"
    "--series-11:#d0926e}}</style>"
)


class Picture(NamedTuple):
    """A picture beside a study.

    Attributes:
        file: its name.
        shows: what, in words.
        draw: makes it, an SVG document.
    """

    file: str
    shows: str
    draw: Callable[[], str]


class StudyTable:
    """The rows of a study as cells.

    Args:
        columns: names, of keys of the rows.
        cells: a line a row, a cell a column.
        heads: what columns are called that do not go by their key.
    """

    def __init__(self, columns: Sequence[str], cells: Sequence[Sequence[str]], *, heads: Mapping[str, str]) -> None:
        self._head = [heads.get(name, name) for name in columns]
        self._cells = cells
        self._left = [place for place, name in enumerate(columns) if name in LEFT]

    def text(self, answers: Sequence[tuple[str, str]], caption: str) -> str:
        """Table, questions with their answers, and caption for a terminal."""
        wide = max(len(question) for question, _ in answers)
        told = [f"{question.ljust(wide)}  {answer}" for question, answer in answers]
        return "\n".join([*aligned([self._head, RULE, *self._cells], left=self._left), "", *told, "", caption])

    def page(
        self,
        answers: Sequence[tuple[str, str]],
        caption: str,
        *,
        title: str,
        command: str,
        pictures: Sequence[Picture],
        note: str = "",
    ) -> str:
        """A page in Markdown.

        Args:
            answers: questions with their answers.
            caption: what was measured.
            title: of the page.
            command: that gives these numbers again.
            pictures: that lie beside the page.
            note: more on the numbers.
        """
        lines = [
            f"# {title}\n",
            f"{caption}. {note}".rstrip() + "\n",
            f"    {command}\n",
            *(f"![{picture.shows}]({picture.file})\n" for picture in pictures),
            *(f"- **{question}** {answer}" for question, answer in answers),
            "",
            *in_markdown([self._head, *self._cells], left=self._left),
        ]
        return "\n".join(lines) + "\n"


def write_study(
    folder: Path,
    name: str,
    *,
    command: str,
    protocol: Mapping[str, Any],
    rows: Sequence[Row],
    pictures: Sequence[Picture],
    page: str,
) -> None:
    """Write `<name>.csv`, `.json`, `.md` and the pictures into a folder that exists, each atomically.

    Args:
        folder: where to.
        name: of the files.
        command: that gives these numbers again.
        protocol: what was compared with what; plain JSON values.
        rows: all of them.
        pictures: of one that cannot be drawn a warning says so, and all else is written all the same.
        page: the content of the page.
    """
    table = io.StringIO()
    lines = csv.DictWriter(table, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    write_text(folder / f"{name}.csv", table.getvalue())
    write_json(folder / f"{name}.json", {"command": command, "protocol": dict(protocol), "rows": list(rows)})
    for picture in pictures:
        with convenience(picture.file):
            write_text(folder / picture.file, picture.draw())
    write_text(folder / f"{name}.md", page)


def document(picture: str) -> str:
    """An SVG file of an element for a page: with its namespace, colours of its own, and paper below."""
    start, _, body = picture.partition(">")
    start = start.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f'{start}>{_STYLE}<rect width="100%" height="100%" fill="var(--paper)"/>{body}\n'
