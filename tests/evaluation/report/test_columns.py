"""Cells as lines, for a terminal and in Markdown."""

from dqh.evaluation.report.columns import RULE, aligned, in_markdown


def test_columns_are_as_wide_as_their_longest_cell_and_rules_as_wide_as_these() -> None:
    assert aligned([("a", "number"), RULE, ("long", "1"), RULE, ("b", "")], left=[0]) == [
        "a     number",
        "----  ------",
        "long       1",
        "----  ------",
        "b",
    ]


def test_markdown_sets_numbers_to_the_right() -> None:
    assert in_markdown([("a", "b", "c"), ("1", "2", "3")], left=[0, 2]) == [
        "| a | b | c |",
        "|---|--:|---|",
        "| 1 | 2 | 3 |",
    ]
