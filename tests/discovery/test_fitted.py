from pathlib import Path

import pytest

from dqh.discovery.fitted import fitted_bytes, read_fitted
from dqh.errors import ArtifactError, NoArtifactError
from dqh.schema import integer
from dqh.sealed import seal

CHECKS = {"count": integer(1)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(fitted_bytes("thing", {"count": 3}))
    assert read_fitted(tmp_path / "x.json", "thing", CHECKS) == {"count": 3}
    (tmp_path / "link.json").symlink_to(tmp_path / "x.json")
    assert read_fitted(str(tmp_path / "link.json"), "thing", CHECKS) == {"count": 3}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(NoArtifactError, match=r"no thing at .*x\.json; fit one and save it there"):
        read_fitted(tmp_path / "x.json", "thing", CHECKS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "is no thing as it was saved: not the JSON that was written; save it again"),
        (seal({"format_version": 1, "kind": "thing", "count": 3}).replace(b"3", b"4", 1), "does not match its hash"),
        (seal({"format_version": 2, "kind": "thing", "count": 3}), "format_version must be 1, got 2; fit it again"),
        (seal({"format_version": 1, "kind": "other", "count": 3}), "kind must be 'thing', got 'other'"),
        (seal({"format_version": 1, "kind": "thing", "count": 0}), "count must be an integer from 1"),
        (seal({"format_version": 1, "kind": "thing"}), "count is missing"),
        (seal({"format_version": 1, "kind": "thing", "count": 1, "more": 1}), "more is unknown to this version"),
    ],
)
def test_what_is_no_such_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        read_fitted(tmp_path / "x.json", "thing", CHECKS)


def test_a_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read as a thing: Is a directory; name its file"):
        read_fitted(tmp_path, "thing", CHECKS)


def test_fields_are_checked_together_once_each_is_right(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(fitted_bytes("thing", {"count": 3}))
    with pytest.raises(ArtifactError, match="the fields do not fit"):
        read_fitted(tmp_path / "x.json", "thing", CHECKS, together=lambda value, field: [f"{field} do not fit"])
    with pytest.raises(ArtifactError, match="count must be an integer"):
        read_fitted(
            tmp_path / "x.json", "thing", {"count": integer(5)}, together=lambda value, field: [f"{field} do not fit"]
        )
