"""Variables of the environment that dependencies read when they are first loaded: no telemetry, threads that wait idle.

`dqh/__init__.py` sets them, since that alone runs before every module of this package, and so before all that these
import; the processes that this one starts inherit them.
"""

import os

VARIABLES = {
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime: a device id and a queue of events below ~/.cache, from 1.32 on
    "HF_HUB_DISABLE_TELEMETRY": "1",  # Hugging Face, which timm downloads with
    "WANDB_ERROR_REPORTING": "false",  # W&B: reports of its own errors, also of offline runs
    "DO_NOT_TRACK": "1",  # what other packages agreed on
    "OMP_WAIT_POLICY": "PASSIVE",  # OpenMP of torch, faiss and scikit-learn: threads that spin slow a busy machine
}


def set_variables() -> None:
    """Set those of `VARIABLES` that the user has not set."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
