"""How a study shows its rows: as a table for a terminal or a page, and as files in a folder."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dqh.conveniences import convenience
from dqh.evaluation.measure import Row
from dqh.evaluation.report.columns import RULE, aligned, in_markdown
from dqh.files import write_json, write_text

LEFT = ("network", "weights", "tap", "query", "database", "form", "distance")
"""Columns of names, which are set to the left."""


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
        picture: tuple[str, str],
        note: str = "",
    ) -> str:
        """A page in Markdown.

        Args:
            answers: questions with their answers.
            caption: what was measured.
            title: of the page.
            command: that gives these numbers again.
            picture: what it shows, and its address.
            note: more on the numbers.
        """
        lines = [
            f"# {title}\n",
            f"{caption}. {note}".rstrip() + "\n",
            f"    {command}\n",
            f"![{picture[0]}]({picture[1]})\n",
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
    picture: Callable[[], str],
    page: str,
) -> None:
    """Write `<name>.csv`, `.json`, `.svg` and `.md` into a folder that exists, each atomically.

    Args:
        folder: where to.
        name: of the files.
        command: that gives these numbers again.
        protocol: what was compared with what; plain JSON values.
        rows: all of them.
        picture: draws an SVG document; where it cannot, a warning says so, and the others are written all the same.
        page: the content of the page.
    """
    table = io.StringIO()
    lines = csv.DictWriter(table, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    write_text(folder / f"{name}.csv", table.getvalue())
    write_json(folder / f"{name}.json", {"command": command, "protocol": dict(protocol), "rows": list(rows)})
    with convenience(f"{name}.svg"):
        write_text(folder / f"{name}.svg", picture())
    write_text(folder / f"{name}.md", page)
