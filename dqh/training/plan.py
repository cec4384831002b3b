"""What a run is going to do, in one line before it begins, and what comes after each of its trainings."""

from collections.abc import Collection

from dqh.data import Prepared
from dqh.evaluation.report.table import REFERENCES
from dqh.evaluation.subset import subset_of
from dqh.index.ways import ways_of
from dqh.plural import counted
from dqh.quantizers.quantizer import Coder
from dqh.training.closed_form import ClosedForm
from dqh.training.experiment import Experiment
from dqh.training.forecast import Sequel, duration


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
    if isinstance(experiment.method, ClosedForm) and "artifact" not in done:
        steps.append(f"compute {experiment.method.method} from {counted(images, data.source.kind)}")
    elif "artifact" not in done:
        passes = settings.passes(images) if settings.overfit is None else 1
        alone = settings.head_steps if settings.head_begins else 0
        after = " and after" if len(roles.validation) else ""  # where something can tell which is better
        steps.append(
            f"train on {counted(images, data.source.kind)} for {counted(settings.epochs, 'epoch')}"
            + (f" of {passes} passes each" if passes > 1 else "")
            + (f", and what stands behind the backbone for {counted(alone, 'step')} before{after}" if alone else "")
        )
    if experiment.without_h is not None and "without_h" not in done:
        limit = experiment.without_h_minutes
        when = "" if limit is None else f" if that took at most {duration(60 * limit)}"
        always = "" if limit is None else ", without_h=softmax does not"
        as_long = "a network" if isinstance(experiment.method, ClosedForm) else "as long"
        steps.append(f"train {as_long} without H{when} (without_h=none leaves it out{always})")
    networks = "the network" if experiment.without_h is None else "both networks"
    items = len(roles.query) + len(roles.database)
    before = untrained_images(experiment, data)
    steps.append(
        f"encode {items:,} query and database {data.source.kind}s by {networks}, and "
        f"{'as many' if before == items else f'{before:,} of them'} by the one before training"
    )
    if baselines := experiment.retrieval.baselines:
        steps.append(f"fit {', '.join(baselines)}")
    steps.append("measure and write the report")
    eta = (
        ". The ETA behind an epoch is that of its training alone; the first epoch tells about how long all of it takes"
        if any(step.startswith("train") for step in steps)
        else ""
    )
    return f"plan: {'; '.join(steps)}{eta}"


def sequel(experiment: Experiment, data: Prepared, coder: Coder, *, without_h: bool) -> Sequel:
    """What comes after the training of the method, or after that of the network `without_h`.

    Args:
        experiment: what is to be done.
        data: its images.
        coder: a quantizer such as the method's, which may still have to be read from a checkpoint.
        without_h: whether it is the latter that trains; it is then the last training.
    """
    queries, items = len(data.roles.query), len(data.roles.database)
    views = 1 + experiment.method.encoder.spec.mirror
    ways = len(ways_of(coder)) + len(REFERENCES) + len(experiment.retrieval.baselines or ())
    again = experiment.without_h is not None and not without_h
    return Sequel(
        without_h=again,
        limit_minutes=experiment.without_h_minutes if again else None,
        images=views * ((1 + without_h) * (queries + items) + untrained_images(experiment, data)),
        without_h_images=views * (queries + items),
        pairs=ways * queries * items,
        baselines=experiment.retrieval.baselines or (),
    )


def untrained_images(experiment: Experiment, data: Prepared) -> int:
    """How many images the network before training encodes."""
    roles = data.roles
    subset = subset_of(len(roles.query), len(roles.database), most=experiment.retrieval.untrained_images)
    return len(roles.query) + len(roles.database) if subset is None else sum(map(len, subset))
