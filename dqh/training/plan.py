"""What a run is going to do, in one line, before it begins."""

from collections.abc import Collection

from dqh.data import Prepared
from dqh.training.experiment import Experiment


def plan_line(experiment: Experiment, data: Prepared, *, done: Collection[str] = ()) -> str:
    """The steps of a run with their numbers.

    Args:
        experiment: what is to be done.
        data: its images; roles without those that cannot be used.
        done: of `artifact` and `without_h`, what an interrupted run has finished.
    """
    settings, roles = experiment.settings, data.roles
    images = settings.overfit or len(roles.train)
    steps = []
    if "artifact" not in done:
        steps.append(f"train on {images:,} {data.source.kind}s for {settings.epochs} epochs")
    if experiment.without_h is not None and "without_h" not in done:
        steps.append("train as long without H (without_h=none leaves it out)")
    networks = 2 if experiment.without_h is None else 3
    items = len(roles.query) + len(roles.database)
    steps.append(f"encode {items:,} query and database {data.source.kind}s by {networks} networks")
    if baselines := experiment.retrieval.baselines:
        steps.append(f"fit {', '.join(baselines)}")
    steps.append("measure and write the report")
    return f"plan: {'; '.join(steps)}. The ETA behind an epoch is that of its training alone"
