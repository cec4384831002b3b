"""What importing loads: `import dqh` nothing heavy, searching neither Lightning nor hydra."""

import subprocess
import sys
from functools import partial

import pytest

slow = partial(pytest.param, marks=pytest.mark.slow)  # with torch or matplotlib


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import dqh", ["numpy", "torch", "hydra", "pytorch_lightning"]),
        ("import dqh.config", ["torch", "hydra", "omegaconf"]),
        ("import dqh.data, dqh.training, dqh.artifact, dqh.export", ["torch", "sklearn", "pytorch_lightning", "hydra"]),
        ("import dqh.cli", ["numpy", "torch", "hydra", "pytorch_lightning"]),
        (
            "import dqh.detection.opening, dqh.detection.writing",
            ["torch", "sklearn", "onnxruntime", "pytorch_lightning", "hydra"],
        ),
        slow("import dqh; dqh.load_encoder, dqh.open_index", ["torch", "sklearn", "pytorch_lightning", "hydra"]),
        ("import dqh.discovery.lens", ["torch", "sklearn", "scipy", "matplotlib", "pytorch_lightning", "hydra"]),
        slow("import dqh.collection.picture", ["pytorch_lightning", "hydra"]),
        slow(
            "import dqh.evaluation, dqh.export, dqh.index, dqh.export.index",
            ["pytorch_lightning", "hydra", "lancedb", "scipy"],
        ),
    ],
)
def test_what_an_import_leaves_out(statement: str, absent: list[str]) -> None:
    program = f"{statement}; import sys; print([name for name in {absent!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
