import csv
from pathlib import Path

import numpy as np
import pytest

from dqh.data.image_list import ImageList
from dqh.data.skipped import check_bad_fraction, write_skipped
from dqh.errors import TooManyBadImagesError
from tests.data.memory import Memory


def test_the_list_has_a_line_an_image(tmp_path):
    write_skipped(tmp_path / "skipped.csv", Memory(np.zeros(9, int)), {5: 'a "quoted", reason', 2: "two\nlines"})
    with (tmp_path / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["path", "reason"], ["row/2", "two\nlines"], ["row/5", 'a "quoted", reason']]


def test_names_are_written_as_the_disk_has_them(tmp_path):
    (tmp_path / "query.txt").write_bytes(b"caf\xe9, 1.jpg 1\n")
    write_skipped(tmp_path / "skipped.csv", ImageList(root=tmp_path, query="query.txt"), {0: "größer"})
    assert (tmp_path / "skipped.csv").read_bytes() == b'path,reason\n"caf\xe9, 1.jpg",' + "größer\n".encode()


@pytest.mark.parametrize(("bad", "limit"), [(0, 0.0), (1, 0.1), (10, 1.0), (0, 0.1)])
def test_up_to_the_limit_is_accepted(bad, limit):
    source = Memory(np.zeros(10, int), max_bad_fraction=limit)
    check_bad_fraction(source, dict.fromkeys(range(bad), "bad"), total=10)


def test_more_than_the_limit_stops():
    source = Memory(np.zeros(10, int), max_bad_fraction=0.1)
    with pytest.raises(TooManyBadImagesError) as caught:
        check_bad_fraction(source, {7: "late", 3: "empty"}, total=10, report=Path("run/skipped.csv"))
    assert caught.value.exit_status == 3
    assert str(caught.value).startswith(
        "2 of 10 images of memory cannot be used (20.00%, above data.max_bad_fraction=0.1), listed in run/skipped.csv; "
        "the first: 'row/3': empty."
    )
    assert str(caught.value).endswith("or raise data.max_bad_fraction")


class Rest(Memory):
    """With a list line and a folder that make no row, and a box that is left out of one."""

    unusable = {"list.txt:3": "no label"}  # noqa: RUF012 (as the property gives it)
    unlisted = {"lost+found": "Permission denied"}  # noqa: RUF012
    unusable_parts = {"a.xml#object[0]": "no area"}  # noqa: RUF012


def test_what_makes_no_row_is_listed_and_lines_alone_are_counted(tmp_path):
    source = Rest(np.zeros(9, int), max_bad_fraction=0.1)
    write_skipped(tmp_path / "skipped.csv", source, {5: "empty"})
    wanted = "path,reason\nrow/5,empty\nlist.txt:3,no label\na.xml#object[0],no area\nlost+found,Permission denied\n"
    assert (tmp_path / "skipped.csv").read_text() == wanted
    check_bad_fraction(source, {}, total=9)  # 1 of 10
    with pytest.raises(TooManyBadImagesError, match=r"2 of 10 images of memory .* the first: 'row/5': empty"):
        check_bad_fraction(source, {5: "empty"}, total=9)
    source.max_bad_fraction = 0.09
    with pytest.raises(TooManyBadImagesError, match=r"1 of 10 images .* the first: 'list\.txt:3': no label"):
        check_bad_fraction(source, {}, total=9)
