"""How the lines of list files are read; what a source makes of them is in test_image_list."""

from pathlib import Path

import pytest

from dqh.data.list_file import read_list


def lines(tmp_path: Path, text: str, **options: object) -> list[tuple[str, ...]]:
    file = tmp_path / "list.txt"
    file.write_text(text)
    return [(line.path, *line.cells) for line in read_list(file, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("my photo.jpg", ("my photo.jpg",)),
        ("my photo", ("my photo",)),
        ("a, b.jpg", ("a, b.jpg",)),
        ("image 12", ("image 12",)),
        ("holiday 2019", ("holiday 2019",)),
        ("holiday 2019 0 1", ("holiday 2019", "0", "1")),
        ("a.jpg 3", ("a.jpg", "3")),
        ("a.jpg hat", ("a.jpg", "hat")),
        ("a.jpg of my hat", ("a.jpg of my hat",)),
        ("a.jpg,hat", ("a.jpg", "hat")),
        ("x.jpg y.jpg 1 1", ("x.jpg y.jpg", "1", "1")),
    ],
)
def test_a_path_may_stand_alone(tmp_path: Path, text: str, wanted: tuple[str, ...]) -> None:
    assert lines(tmp_path, text, bare=True) == [wanted]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("my photo 3", ("my photo", "3")),
        ("photo hat", ("photo", "hat")),
        ("photo 1 0", ("photo", "1", "0")),
        ("x.jpg\t0  1 0", ("x.jpg", "0", "1", "0")),
        ("x y.jpg\t0\thigh hat", ("x y.jpg", "0", "high hat")),
        ("photos, 2019/a.jpg 1 0", ("photos, 2019/a.jpg", "1", "0")),
    ],
)
def test_labels_stand_behind_the_path(tmp_path: Path, text: str, wanted: tuple[str, ...]) -> None:
    assert lines(tmp_path, text) == [wanted]


def test_a_long_line_takes_no_longer_than_its_length(tmp_path: Path) -> None:
    """The parts of a line are looked at once each: one of 4 MB would take hours otherwise."""
    text = "a " * 2_000_000
    assert lines(tmp_path, text, bare=True) == [(text.strip(),)]
    assert len(lines(tmp_path, "a" + " 1" * 2_000_000)[0]) == 2_000_001
