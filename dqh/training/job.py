"""One training as a command asks for it: from a configuration to a run in its folder.

Mistakes that need no network are told before torch and Lightning are imported.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dqh.commands import command_line, setting
from dqh.config import completed
from dqh.files import claim_folder, write_text
from dqh.training.preflight import Drawn, learns_boxes, preflight
from dqh.training.run_folder import CONFIG, Yaml, folder_to_continue, last_checkpoint, move_latest

logger = logging.getLogger(__name__)


def train(
    config: Mapping[str, Any],
    argv: Sequence[str],
    *,
    yaml: Yaml,
    cell: Path | None = None,
    say: Callable[..., None] = lambda *lines: None,
) -> None:
    """Check a configuration, then train, export and evaluate in a folder of its own, or in one that is given.

    Args:
        config: composed and resolved; `preflight.FIELDS` says what belongs in it.
        argv: the script and the arguments that give this one run.
        yaml: reads and writes `config.yaml`.
        cell: the folder of a cell of a sweep, where the run begins or continues; None for a folder below `runs`, or
            that of `resume`.
        say: prints lines: what was measured, before it is written, which a full disk may prevent, and where it lies.

    Raises:
        DqhError: all that can be wrong with the configuration, and see `pipeline.run`.
    """
    detects = learns_boxes(config)
    drawn = preflight(config)
    from dqh.training.checkpoints import Interrupted

    line = command_line(argv)
    experiment, run = _detection(config, drawn) if detects else _hashing(config, drawn)
    record = completed({**config, "backbone": config["backbone"] | {"size": experiment.size}})
    checkpoint = None if config["resume"] is None else Path(config["resume"]).resolve()
    if cell is not None and last_checkpoint(cell).is_file():
        checkpoint = last_checkpoint(cell)
    if checkpoint is None:
        folder = cell or claim_folder(Path(config["runs"]), experiment.name)
        write_text(folder / CONFIG, f"# {line}\n{yaml.write(record)}")
    else:
        folder = folder_to_continue(checkpoint, record, yaml=yaml)
    logger.info("run folder %s", folder)
    try:
        run(
            experiment,
            folder,
            command=line,
            resume=checkpoint,
            again=cell is not None,
            ready=lambda: move_latest(Path(config["runs"]) / "latest", folder),
            measured=lambda evaluation: say(*evaluation.text().split("\n"), ""),
        )
    except (Interrupted, OSError, MemoryError, KeyboardInterrupt, SystemExit):  # not what would come again
        if cell is None and last_checkpoint(folder).is_file():
            again = [argument for argument in argv if not argument.startswith("resume=")]
            logger.warning("continue with: %s", command_line([*again, setting("resume", last_checkpoint(folder))]))
        raise
    say(f"report    {folder / 'report.html'}", f"artifact  {folder / 'artifact'}")


def _hashing(config: Mapping[str, Any], drawn: Drawn) -> tuple[Any, Callable[..., Any]]:
    """The experiment of a configuration, and what runs it."""
    from dqh.training.experiment import assemble
    from dqh.training.pipeline import run

    return assemble(config, drawn=drawn), run


def _detection(config: Mapping[str, Any], drawn: Drawn) -> tuple[Any, Callable[..., Any]]:
    """The same of a detector."""
    from dqh.training.detection.box_experiment import assemble
    from dqh.training.detection.box_pipeline import run

    return assemble(config, drawn=drawn), run
