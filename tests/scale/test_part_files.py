"""Parts of bytes that workers map."""

from pathlib import Path

import pytest

from dqh.scale.part_files import mapped_part, write_bytes_part


def test_mapped_bytes_are_those_that_were_written(tmp_path: Path) -> None:
    write_bytes_part(tmp_path, "part-a", memoryview(b"12345"))
    content = mapped_part(tmp_path, "part-a")
    assert content is not None
    content[0] = ord("x")  # here alone
    again = mapped_part(tmp_path, "part-a")
    assert (bytes(content), again and bytes(again)) == (b"x2345", b"12345")


@pytest.mark.parametrize("damage", [b"12346", b"1234", b"123456", b""])
def test_a_damaged_part_is_written_again(damage: bytes, tmp_path: Path) -> None:
    write_bytes_part(tmp_path, "part-a", memoryview(b"12345"))
    (tmp_path / "part-a.bin").write_bytes(damage)
    assert mapped_part(tmp_path, "part-a") is None
    write_bytes_part(tmp_path, "part-a", memoryview(b"12345"))
    content = mapped_part(tmp_path, "part-a")
    assert content is not None
    assert bytes(content) == b"12345"
