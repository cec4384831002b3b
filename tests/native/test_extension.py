import logging
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from dqh.native import extension as module
from dqh.native.extension import extension, source_hash

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DQH_NATIVE", raising=False)


def found_anew() -> ModuleType | None:
    """`extension` without what it remembers."""
    return extension.__wrapped__()


def missing(name: str) -> ModuleType:
    raise ModuleNotFoundError(f"No module named {name!r}")


def test_it_is_there_where_it_must_be() -> None:
    """Where a compiler is required, as in CI, the extension is built of the sources as they are."""
    if util.find_spec("dqh._native") is None:
        pytest.skip("dqh._native is not built here")
    from dqh import _native

    assert _native.source() == source_hash(ROOT) or os.environ.get("DQH_NATIVE") != "require"
    assert _native.instruction_set() in ("portable", "avx2", "avx512")
    with pytest.raises(ValueError, match=r"instruction set must be portable or one up to .*, got mmx"):
        _native.instruction_set("mmx")


def test_without_it_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "import_module", missing)
    with caplog.at_level(logging.WARNING):
        assert found_anew() is None
    assert caplog.messages == [
        "exact search by bits takes about 4 times as long as it need: dqh._native is not built; with a C compiler this "
        "mends it: DQH_NATIVE=require uv sync --inexact --reinstall-package dqh"
    ]


def test_one_that_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(name: str) -> ModuleType:
        raise ImportError("file too short")

    monkeypatch.setattr(module, "import_module", broken)
    assert found_anew() is None
    assert "dqh._native cannot be loaded: file too short; with a C compiler" in caplog.text


def test_one_of_other_sources_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(module, "import_module", lambda name: SimpleNamespace(source=lambda: "0" * 64))
    assert found_anew() is None
    assert "was built of other sources than those in native/" in caplog.text
    monkeypatch.setattr(module, "_ROOT", tmp_path)  # beside a wheel there are none
    assert found_anew() is not None


def test_it_can_be_required_or_left_out(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "import_module", missing)
    monkeypatch.setenv("DQH_NATIVE", "require")
    with pytest.raises(ImportError, match=r"dqh._native is not built; .*; or unset DQH_NATIVE"):
        found_anew()
    monkeypatch.setenv("DQH_NATIVE", "off")
    assert found_anew() is None
    assert not caplog.messages


def test_the_hash_is_of_names_and_sources(tmp_path: Path) -> None:
    assert source_hash(tmp_path) is None
    (tmp_path / "hatch_build.py").touch()
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "a.c").write_text("1")
    one = source_hash(tmp_path)
    (tmp_path / "native" / "notes.txt").write_text("2")
    assert source_hash(tmp_path) == one
    (tmp_path / "native" / "a.c").rename(tmp_path / "native" / "b.c")
    assert source_hash(tmp_path) != one


@pytest.mark.slow
def test_a_build_that_fails_leaves_no_old_one(tmp_path: Path) -> None:
    """By the hook as uv calls it: a failure is told and leaves a package without the extension, or is an error."""
    if shutil.which("uv") is None or shutil.which("cc") is None:
        pytest.skip("needs uv and cc")
    for name in ("dqh", "native"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "_native.*"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)

    def wheels(**variables: str) -> tuple[int, list[str]]:
        command = ["uv", "build", "--wheel", "--quiet", "--python", sys.executable, "--out-dir", tmp_path / "out"]
        ended = subprocess.run(
            [*command, tmp_path], env=os.environ | variables, capture_output=True, text=True, check=False
        )
        built = sorted((tmp_path / "out").glob("*.whl"))
        if built and "abi3" in built[0].name:  # it is installed, and its extension loaded
            assert built[0].stat().st_size < 2_000_000
            site = tmp_path / "site"
            install = ["uv", "pip", "install", "--quiet", "--no-deps", "--target", site, built[0]]
            subprocess.run(install, check=True, capture_output=True)
            program = "import dqh._native as native; print(native.__file__, native.instruction_set())"
            answer = subprocess.run(
                [sys.executable, "-c", program],
                env=os.environ | {"PYTHONPATH": str(site)},
                cwd=tmp_path / "out",
                capture_output=True,
                text=True,
                check=True,
            )
            assert answer.stdout.startswith(str(site))
        names = [path.name for path in built]
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        return ended.returncode, names

    status, names = wheels(DQH_NATIVE="require", CC="cc")
    if status:
        pytest.skip("the build backend cannot be had here, or Python.h")
    assert "-cp311-abi3-" in names[0]
    assert list((tmp_path / "dqh").glob("_native.*"))
    assert wheels(DQH_NATIVE="", CC="false") == (0, ["dqh-0.1.0-py3-none-any.whl"])
    assert not list((tmp_path / "dqh").glob("*_native.*"))
    assert wheels(DQH_NATIVE="require", CC="false")[0] != 0
    assert wheels(DQH_NATIVE="off") == (0, ["dqh-0.1.0-py3-none-any.whl"])


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("hamming_scratch", (1, 1000, 2, 100)),
        ("tables_scratch", (1, 1000, 8, 256, 100)),
        ("hamming_histograms_scratch", (1, 40)),
    ],
)
def test_sizes_of_memory_never_overflow(name: str, sizes: tuple[int, ...]) -> None:
    """They are as for smaller numbers, times the queries, or -1: never a small one for a large search."""
    native = extension()
    if native is None:
        pytest.skip("dqh._native is not built here")
    size = getattr(native, name)
    usual = size(*sizes)
    assert usual > 0
    assert size(1000, *sizes[1:]) == 1000 * usual
    for place in range(len(sizes)):
        before = usual
        for power in range(20, 63):
            value = size(*sizes[:place], 2**power, *sizes[place + 1 :])
            assert value == -1 or usual <= before <= value < 2**63, (place, power)
            before = max(before, value)
        assert size(*sizes[:place], -1, *sizes[place + 1 :]) == -1
    assert size(*(2**62,) * len(sizes)) == -1
    assert size(2**63 - 1, *sizes[1:]) == -1
