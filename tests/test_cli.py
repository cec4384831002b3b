"""`dqh VERB`: results on stdout, messages on stderr, exit statuses."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dqh.artifact import golden_files, save_artifact
from dqh.verbs.running import VERBS
from tests.artifact.conftest import images, make
from tests.conftest import ROOT


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artifact = make()
    save_artifact(artifact, tmp_path / "artifact", golden=golden_files(artifact, images()))
    return tmp_path / "artifact"


def test_help_names_the_verbs_and_the_scripts(dqh: Callable) -> None:
    status, out, _ = dqh("--help")
    assert status == 0
    for word in (*(verb.__name__.rpartition(".")[2] for verb in VERBS), "train.py", "evaluate.py"):
        assert word in out


def test_what_is_not_needed_for_help_is_not_loaded() -> None:
    heavy = ("numpy", "torch", "hydra", "pytorch_lightning")
    load = "import sys; from dqh.verbs.running import parser; parser()"
    program = f"{load}; print([each for each in {heavy} if each in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: VERB"),
        (("sing",), "invalid choice: 'sing'"),
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


def test_the_entry_loads_nothing_before_it_heeds_signals() -> None:
    """Not even signal or typing, each of which takes longer than all else here; os is there before any program."""
    allowed = {"dqh", "dqh.cli", "dqh.variables", "warnings"}
    allowed |= {"importlib", "importlib._bootstrap", "importlib._bootstrap_external"}
    program = "import sys; before = set(sys.modules); import dqh.cli; print(*sorted(set(sys.modules) - before))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert set(answer.stdout.split()) <= allowed
