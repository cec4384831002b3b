"""Ray as an executor: an actor a worker, on this machine or on a cluster that runs already. Needs the extra `ray`.

Ray's own retries are off: a partition whose actor dies is known here, so that it alone pays for it.
"""

import logging
import os
import pickle
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from dqh.errors import ConfigError, DqhError, first_line
from dqh.executors import Outcome, Pool, PooledExecutor, attempted

INSTALL = "uv sync --inexact --extra ray"

STORE_BYTES = 128 * 2**20
"""Of Ray's object store, where it is started here: results are small."""


class RayExecutor(PooledExecutor):
    """Actors of Ray core; see `dqh.executors.Executor`.

    Where no `address` is given, Ray is started on this machine alone: without a dashboard, with as many CPUs as there
    are workers, and a small object store; `close` ends it. Everything that partitions read and write lies where all
    machines of the cluster see it.

    Args:
        workers: actors; None for one a core of this machine.
        address: of a cluster that runs, such as `auto` or `ray://head:10001`; None to start one here.
        gpus: that an actor asks for; parts of one are shared.
        memory: bytes that an actor asks for, by which Ray chooses its machine; None for nothing.
        temporary: folder for what Ray keeps on disk, where it is started here; None for a new one that goes with it.

    Raises:
        ConfigError: a number is out of range, or a temporary folder is given with an address.
        DqhError: Ray is not installed, or does not start.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        address: str | None = None,
        gpus: float = 0.0,
        memory: int | None = None,
        temporary: str | None = None,
    ) -> None:
        super().__init__(workers=workers)
        if gpus < 0:
            raise ConfigError(f"gpus must be at least 0, got {gpus}")
        if address is not None and temporary is not None:
            raise ConfigError("a cluster that runs has its own temporary folder; leave the one or the address off")
        if find_spec("ray") is None:
            raise DqhError(f"the executor ray needs the package ray; install it: {INSTALL}")
        self._address, self._gpus, self._memory, self._temporary = address, gpus, memory, temporary
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._started = False

    def close(self) -> None:
        """See `Executor.close`; ends Ray where this started it."""
        super().close()
        if self._started:
            import ray

            ray.shutdown()
            self._started = False
        if self._own is not None:
            self._own.cleanup()
            self._own = None

    def _new_pool(self) -> Pool:
        self._start()
        return _Actors({"num_cpus": 1, "num_gpus": self._gpus, "memory": self._memory})

    def _start(self) -> None:
        """Connect to a cluster, or make one of this machine; a Ray that the program has started is taken as it is."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing phones home
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # else a worker makes an environment of its own
        import ray

        if ray.is_initialized():
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self._address is None:
            if self._temporary is None:
                self._own = tempfile.TemporaryDirectory(prefix="dqh-ray-", ignore_cleanup_errors=True)
            options |= {
                "num_cpus": self.workers,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": self._temporary or (self._own.name if self._own else None),
            }
        try:
            ray.init(address=self._address or "local", **options)
        except Exception as error:  # Ray raises of all kinds: connection, value, runtime
            raise DqhError(
                f"Ray does not start{'' if self._address is None else f' at {self._address}'}: {first_line(error)}; "
                "look at its address, or take --executor local"
            ) from error
        self._started = True


class _Actors:
    """Actors by their slots."""

    def __init__(self, resources: dict[str, Any]) -> None:
        import ray

        self._ray = ray
        self._content: Any = None
        self._class = ray.remote(_Actor).options(max_restarts=0, max_task_retries=0, **resources)
        self._actors: dict[int, Any] = {}
        self._answers: dict[Any, int] = {}

    def begin(self, content: bytes) -> None:
        self._content = self._ray.put(content)

    def give(self, slot: int, partition: Any) -> None:
        if slot not in self._actors:
            self._actors[slot] = self._class.remote()
        self._answers[self._actors[slot].attempt.remote(self._content, pickle.dumps(partition))] = slot

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        ready, _ = self._ray.wait(list(self._answers), num_returns=1)
        done = []
        for answer in ready:
            slot = self._answers.pop(answer)
            try:
                outcome = pickle.loads(self._ray.get(answer))
            except self._ray.exceptions.RayError as error:
                self._ray.kill(self._actors.pop(slot), no_restart=True)
                outcome = Outcome("lost", text=f"its actor of Ray ended ({_reason(error)})")
            done.append((slot, outcome))
        return done

    def close(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor, no_restart=True)
        self._actors, self._answers = {}, {}


class _Actor:
    """A worker of Ray."""

    def attempt(self, content: bytes, partition: bytes) -> bytes:
        return attempted(content, partition)


def _reason(error: Exception) -> str:
    """What Ray says in many lines, in one."""
    wanted = ("Worker unexpectedly exits", "Worker exits unexpectedly", "died", "memory")
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if any(word in line for word in wanted)), first_line(error))[:200]
