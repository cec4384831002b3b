"""`dqh VERB`: results on stdout, messages on stderr, exit statuses."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dqh.export import golden_files, save_artifact
from tests.export.conftest import images, make


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artifact = make()
    save_artifact(artifact, tmp_path / "artifact", golden=golden_files(artifact, images()))
    return tmp_path / "artifact"


def test_help_names_the_verbs_and_the_scripts(dqh: Callable) -> None:
    status, out, _ = dqh("--help")
    assert status == 0
    for each in (
        "export",
        "verify",
        "index",
        "search",
        "remove",
        "compact",
        "check",
        "info",
        "train.py",
        "evaluate.py",
    ):
        assert each in out


def test_what_is_not_needed_for_help_is_not_loaded() -> None:
    heavy = ("numpy", "torch", "hydra", "pytorch_lightning")
    program = f"import sys, dqh.cli; dqh.cli.parser(); print([each for each in {heavy} if each in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: VERB"),
        (("serve",), "invalid choice: 'serve'"),
    ],
)
def test_usage(arguments: tuple[str, ...], message: str, dqh: Callable) -> None:
    status, out, err = dqh(*arguments)
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (None, 143)])
def test_interrupted(raised: type[BaseException] | None, status: int, saved: Path, dqh: Callable) -> None:
    def stopped(*given: object, **more: object) -> None:
        if raised is not None:
            raise raised
        signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dqh.export.verify.verify", stopped)
        assert dqh("verify", saved)[0] == status


@pytest.mark.parametrize(
    ("encoding", "wanted"),
    [
        ("utf-8", "a→b ".encode() + b"\xe9 \\ud800"),
        ("latin-1", b"a\\u2192b \xe9 \\ud800"),
        ("ascii", b"a\\u2192b \xe9 \\ud800"),
    ],
)
def test_stdout_of_any_encoding_takes_every_name(encoding: str, wanted: bytes) -> None:
    """An arrow, the byte E9 as Python keeps it in a file name, and half a pair of UTF-16, which is no byte."""
    program = (
        "import dqh.cli as cli; cli.VERBS = (); cli.parser = lambda: type('P', (), {'parse_args': lambda self, argv: "
        "type('A', (), {'run': lambda arguments: print('a\\u2192b \\udce9 \\ud800') or 0})})(); cli.main([])"
    )
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
    assert answer.stdout.rstrip() == wanted
