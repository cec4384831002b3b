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
from dqh.training.preflight import preflight
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
    drawn = preflight(config)
    from dqh.training.checkpoints import Interrupted
    from dqh.training.experiment import assemble
    from dqh.training.pipeline import run

    line = command_line(argv)
    experiment = assemble(config, drawn=drawn)
    size = experiment.method.encoder.spec.size
    record = completed({**config, "backbone": config["backbone"] | {"size": size}})
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
