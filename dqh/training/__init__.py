"""Training: the module and data module, the loop's settings, and a whole run."""

from dqh.training.checkpoints import Interrupted
from dqh.training.experiment import Experiment, assemble
from dqh.training.fit import Fit
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer
from dqh.training.pipeline import run
from dqh.training.seeds import seed_everything

__all__ = ["Experiment", "Fit", "HashModule", "Interrupted", "Optimizer", "assemble", "run", "seed_everything"]
