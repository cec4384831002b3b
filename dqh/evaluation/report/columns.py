"""Cells as lines: columns of one width for a terminal, or a table in Markdown. What a cell says is up to the caller."""

from collections.abc import Collection, Sequence

RULE: Sequence[str] = ()
"""In place of a line of cells: a rule below all columns."""


def aligned(lines: Sequence[Sequence[str]], *, left: Collection[int]) -> list[str]:
    r"""Lines whose columns are as wide as their longest cell, two blanks apart.

    Args:
        lines: of as many cells each, or `RULE`.
        left: numbers of the columns that are set to the left; the others are set to the right.

    Example:
        >>> print("\n".join(aligned([("class", "AP"), RULE, ("cat", "0.5")], left=[0])))
        class   AP
        -----  ---
        cat    0.5
    """
    widths = [max(map(len, column)) for column in zip(*(line for line in lines if line), strict=True)]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line or rule, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def in_markdown(lines: Sequence[Sequence[str]], *, left: Collection[int]) -> list[str]:
    """The lines of a table in Markdown, the first one its head; columns as of `aligned`.

    Example:
        >>> in_markdown([("class", "AP"), ("cat", "0.5")], left=[0])
        ['| class | AP |', '|---|--:|', '| cat | 0.5 |']
    """
    head, *rows = (f"| {' | '.join(line)} |" for line in lines)
    return [head, f"|{'|'.join('---' if place in left else '--:' for place in range(len(lines[0])))}|", *rows]
