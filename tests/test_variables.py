"""Nothing phones home, and nothing is left in the home folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dqh.variables import VARIABLES
from tests.conftest import ROOT

WATCHED = """
import os, sys
seen = {}
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in {"onnxruntime", "pytorch_lightning", "wandb", "huggingface_hub", "timm", "torch", "faiss"}:
            seen[name] = {each: os.environ.get(each) for each in WANTED}
sys.meta_path.insert(0, Watch())
"""

PIPELINE = """
import runpy, sys
from pathlib import Path
ROOT, work = sys.argv[1:]
sys.argv = ["train.py", "data=digits", "runs=" + work + "/runs", "bits=16",
            "search.timed_queries=2", "trainer.epochs=1", "trainer.device=cpu", "without_h=none",
            "trainer.loggers=[tensorboard,wandb]"]
try:
    runpy.run_path(ROOT + "/train.py", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
from PIL import Image
import numpy as np
from dqh.cli import main
photos = Path(work, "photos")
photos.mkdir()
for number in range(3):
    pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photos / f"{number}.png")
(artifact,) = Path(work, "runs").glob("2*/*/artifact")
for verb in (
    ["export", str(artifact), "--to", "onnx,pt2,faiss,triton"],
    ["verify", str(artifact), "--trust"],
    ["index", str(artifact), str(photos), "--out", work + "/index", "--runtime", "onnx"],
    ["search", work + "/index", str(photos / "1.png"), "-k", "2", "--plot", work + "/plot.png"],
    ["export", work + "/index", "--to", "faiss,parquet,lance", "--out", work + "/forms"],
):
    assert main(verb) == 0, verb
print(artifact)
"""


def bare(home: Path, **more: str) -> dict[str, str]:
    """An environment with an empty home and without the variables."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX", "OMP_NUM_THREADS") if name in os.environ}
    return kept | {"HOME": str(home)} | more


LOADED = """
import dqh.training.loggers, dqh.export.verify, dqh.quantizers, onnxruntime
from dqh.models import timm_adapter
for name in ("timm", "wandb"):
    try:
        __import__(name)
    except ImportError:
        pass
"""


@pytest.mark.slow
def test_they_are_set_before_what_reads_them(tmp_path: Path) -> None:
    program = f"WANTED = {list(VARIABLES)!r}{WATCHED}{LOADED}\nimport json; print(json.dumps(seen))"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env=bare(tmp_path)
    )
    seen = json.loads(answer.stdout.splitlines()[-1])
    assert {"onnxruntime", "pytorch_lightning", "torch", "faiss"} <= set(seen)
    for name, values in seen.items():
        assert values == VARIABLES, name


def test_what_the_user_has_set_stays() -> None:
    program = "import dqh, os; print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['OMP_WAIT_POLICY'])"
    given = os.environ | {"ORT_DISABLE_TELEMETRY": "0", "OMP_WAIT_POLICY": "ACTIVE"}
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=given)
    assert answer.stdout == "0 ACTIVE\n"


@pytest.mark.slow
def test_home_is_empty_after_training_exporting_and_searching(tmp_path: Path) -> None:
    """Matplotlib's cache of fonts apart, which takes seconds to make anew."""
    pytest.importorskip("wandb", reason="needs the extra wandb")
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    answer = subprocess.run(
        [sys.executable, "-c", PIPELINE, str(ROOT), str(work)],
        capture_output=True,
        text=True,
        check=False,
        cwd=work,
        env=bare(home, PYTHONPATH=str(ROOT), WANDB_MODE="offline"),
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    artifact = Path(answer.stdout.splitlines()[-1])
    subprocess.run([sys.executable, "-I", artifact / "verify_onnx.py"], check=True, cwd=work, env=bare(home))
    left = [each.relative_to(home).as_posix() for each in home.rglob("*") if each.is_file()]
    assert [each for each in left if "matplotlib" not in each] == []
    assert {each.name for each in home.iterdir()} <= {".cache", ".config"}
