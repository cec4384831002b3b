"""The executor that a configuration or a command line asks for, by the names that the options of `dqh` verbs have."""

from collections.abc import Mapping
from typing import Any, Literal

from dqh.executors import Executor
from dqh.scale.choosing import Resources, executor_of

OPTIONS: dict[str, Any] = {
    "executor": Literal["local", "ray", "spark"] | None,
    "partitions": int | None,
    "workers": int | None,
    "address": str | None,
    "worker_memory": int | None,
    "temporary": str | None,
    "gpus": int | None,
    "parts": str | None,
}
"""Kinds of the values by name; `worker_memory` is in MiB. What they mean is in `dqh.scale.choosing.Resources`."""

_LEAST = {"partitions": 1, "workers": 1, "worker_memory": 1, "gpus": 0}


def option_problems(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with options whose kinds are right: a line each.

    Example:
        >>> option_problems({"executor": None, "partitions": 8})
        ['partitions: 8 says nothing without an executor; write executor=local too, or leave it out']
        >>> option_problems({"executor": "local", "partitions": 0})
        ['partitions: got 0, wanted at least 1']
    """
    given = {name: options[name] for name in OPTIONS if options.get(name) is not None and name != "executor"}
    problems = [
        f"{name}: got {given[name]}, wanted at least {least}"
        for name, least in _LEAST.items()
        if type(given.get(name)) is int and given[name] < least
    ]
    if options.get("executor") is None:
        alone = "says nothing without an executor; write executor=local too, or leave it out"
        problems += [f"{name}: {value} {alone}" for name, value in given.items()]
    return problems


def asked_executor(options: Mapping[str, Any]) -> Executor | None:
    """The executor of options without problems, none of whose workers is started; None for this process.

    Raises:
        ConfigError: a resource is none of this engine.
        DqhError: it is not installed.
    """
    if options["executor"] is None:
        return None
    memory = options["worker_memory"]
    resources = Resources(
        workers=options["workers"],
        address=options["address"],
        memory=None if memory is None else memory * 2**20,
        temporary=None if options["temporary"] is None else str(options["temporary"]),
        gpus=options["gpus"] or 0,
    )
    return executor_of(options["executor"], resources)
