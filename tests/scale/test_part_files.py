"""Parts of bytes that workers map, and jobs whose parts are known one after the other."""

from pathlib import Path

import pytest

from dqh.scale.part_files import begin_job, end_job, mapped_part, write_bytes_part


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


def test_further_parts_leave_those_that_are_noted_until_the_end(tmp_path: Path) -> None:
    folder, job = tmp_path / "parts", tmp_path / "job"
    for name in ("part-a", "part-b"):
        begin_job(folder, job, [name], further=True)
        write_bytes_part(folder, name, memoryview(name.encode()))
    assert mapped_part(folder, "part-a") is not None
    begin_job(folder, job, ["part-b"])
    assert (mapped_part(folder, "part-a"), (folder / "part-a.bin").exists()) == (None, False)
    end_job(folder, job)
    assert not folder.exists()
