"""Training: the module and data module, the loop's settings, and a whole run.

`preflight` comes without torch; the other names are imported when they are first used, torch and Lightning with them.
"""

from typing import TYPE_CHECKING

from dqh.lazy import lazily
from dqh.training.preflight import preflight

if TYPE_CHECKING:
    from dqh.training.checkpoints import Interrupted
    from dqh.training.experiment import Experiment, assemble
    from dqh.training.fit import Fit
    from dqh.training.module import HashModule
    from dqh.training.optimizer import Optimizer
    from dqh.training.pipeline import run
    from dqh.training.seeds import seed_everything

__all__ = [
    "Experiment",
    "Fit",
    "HashModule",
    "Interrupted",
    "Optimizer",
    "assemble",
    "preflight",
    "run",
    "seed_everything",
]

_WITH_TORCH = {
    "checkpoints": ("Interrupted",),
    "experiment": ("Experiment", "assemble"),
    "fit": ("Fit",),
    "module": ("HashModule",),
    "optimizer": ("Optimizer",),
    "pipeline": ("run",),
    "seeds": ("seed_everything",),
}

__getattr__, __dir__ = lazily(__name__, _WITH_TORCH, __all__)
