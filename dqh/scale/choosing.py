"""An executor by its name, with the resources that it may take."""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

from dqh.errors import ConfigError
from dqh.executors import Executor
from dqh.process_executor import ProcessExecutor

Engine = Literal["local", "ray", "spark"]
ENGINES: tuple[str, ...] = get_args(Engine)


class Resources(NamedTuple):
    """What an executor may take.

    Attributes:
        workers: partitions at a time; None for one a core of this machine.
        address: of a cluster that runs; None for this machine.
        memory: bytes a worker on `local` and `ray`, of Java on `spark`; None for no limit, and for that of Spark.
        temporary: folder for what Ray and Spark keep on disk; None for their own.
        gpus: a worker on `ray` and `spark`.
    """

    workers: int | None = None
    address: str | None = None
    memory: int | None = None
    temporary: str | None = None
    gpus: int = 0


def executor_of(engine: str, resources: Resources | None = None) -> Executor:
    """The executor of an engine.

    Raises:
        ConfigError: there is no such engine, a number is out of range, or a resource is none of this engine.
        DqhError: it is not installed.
    """
    resources = resources or Resources()
    makers: dict[str, Callable[[Resources], Executor]] = {"local": _local, "ray": _ray, "spark": _spark}
    if engine not in makers:
        raise ConfigError(f"executor must be one of {', '.join(ENGINES)}, got {engine!r}")
    return makers[engine](resources)


def _local(resources: Resources) -> Executor:
    for name in ("address", "temporary", "gpus"):
        if value := getattr(resources, name):
            raise ConfigError(f"{name} is for the executors ray and spark, got {value!r} for local; leave it off")
    return ProcessExecutor(workers=resources.workers, memory=resources.memory)


def _ray(resources: Resources) -> Executor:
    from dqh.scale.ray_executor import RayExecutor

    return RayExecutor(**resources._asdict())


def _spark(resources: Resources) -> Executor:
    from dqh.scale.spark_executor import SparkExecutor

    return SparkExecutor(**resources._asdict())
