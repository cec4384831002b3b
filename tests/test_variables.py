"""Nothing phones home: the variables are there before what reads them is loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
