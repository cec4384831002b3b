"""A path names the file that the system opens, in one spelling."""

from pathlib import Path

import pytest

from dqh.data.paths import located


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("./a//b/./", "a/b"),
        ("a/b/../1.jpg", "a/1.jpg"),
        ("link/1.jpg", "link/1.jpg"),
        ("link/../1.jpg", "a/1.jpg"),
        ("a/../link/../b/../1.jpg", "a/1.jpg"),
        ("link/.", "link"),
        ("none/../1.jpg", "none/../1.jpg"),
        ("a/1.jpg/../b/../1.jpg", "a/1.jpg/../b/../1.jpg"),
    ],
)
def test_a_path_names_the_file_that_the_system_opens(
    path: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`link` points to a/b, so that link/.. is a."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "1.jpg").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    assert located(path) == located(path, str(tmp_path)) == located(f"{tmp_path}/{path}") == f"{tmp_path}/{wanted}"
    assert Path(path).exists() == Path(located(path)).exists()
    assert not Path(path).exists() or Path(path).samefile(located(path))
