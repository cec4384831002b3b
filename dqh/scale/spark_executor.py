"""Spark as an executor: a job of one task a partition, on this machine or on a cluster.

Needs the extra `spark`, and Java 17 or newer.

One Spark job of all partitions would be given up as a whole once one of them fails too often; a job a partition costs
some hundredths of a second more and fails alone. Threads of the driver hold one job each.
"""

import os
import pickle
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib.util import find_spec
from typing import Any

from dqh.errors import ConfigError, DqhError, first_line
from dqh.executors import Outcome, Pool, PooledExecutor, attempted

INSTALL = "uv sync --inexact --extra spark"

JAVA = "apt-get install openjdk-17-jre-headless"

DRIVER_BYTES = 2**30
"""Of the Java process on this machine, where nothing else is said."""


class SparkExecutor(PooledExecutor):
    """Python workers of Spark; see `dqh.executors.Executor`.

    A session that the program has is taken as it is; else one is made, and `close` ends it. Everything that partitions
    read and write lies where all machines of the cluster see it.

    Args:
        workers: partitions at a time; None for one a core of this machine.
        address: the master, such as `yarn` or `spark://head:7077`; None for this machine.
        memory: bytes that the Java process on a machine may take; None for `DRIVER_BYTES`.
        temporary: folder for what Spark keeps on disk; None for its default.
        gpus: that a task asks for, as whole ones; 0 for none.

    Raises:
        ConfigError: a number is out of range.
        DqhError: Spark or Java is not installed, or it does not start.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        address: str | None = None,
        memory: int | None = None,
        temporary: str | None = None,
        gpus: int = 0,
    ) -> None:
        super().__init__(workers=workers)
        if gpus < 0:
            raise ConfigError(f"gpus must be at least 0, got {gpus}")
        if find_spec("pyspark") is None:
            raise DqhError(f"the executor spark needs the package pyspark; install it: {INSTALL}")
        if reason := no_java():
            raise DqhError(reason)
        self._address, self._temporary, self._gpus = address, temporary, gpus
        self._memory = DRIVER_BYTES if memory is None else memory
        self._session: Any = None
        self._started = False

    def close(self) -> None:
        """See `Executor.close`; ends the session where this made it."""
        super().close()
        if self._started:
            self._session.stop()
        self._session, self._started = None, False

    def _new_pool(self) -> Pool:
        if self._session is None:
            self._start()
        return _Jobs(self._session.sparkContext, self.workers)

    def _start(self) -> None:
        from pyspark.sql import SparkSession

        active = SparkSession.getActiveSession()
        if active is not None:
            self._session = active
            return
        try:
            self._session = self._builder(SparkSession.builder).getOrCreate()
        except Exception as error:  # Py4J raises what Java does
            raise DqhError(
                f"Spark does not start{'' if self._address is None else f' at {self._address}'}: {first_line(error)}; "
                "look at its address and at java -version, or take --executor local"
            ) from error
        self._started = True
        self._session.sparkContext.setLogLevel("OFF")  # a lost worker is told by a `Failure`, not by pages of Java

    def _builder(self, builder: Any) -> Any:
        memory = f"{max(1, self._memory // 2**20)}m"
        options = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": memory,
            "spark.executor.memory": memory,
            "spark.task.maxFailures": "1",  # who tries again is `dispatched`
            "spark.python.worker.reuse": "true",
        }
        if self._address is None:
            options |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
            options |= {"spark.executorEnv.PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if self._temporary is not None:
            options["spark.local.dir"] = self._temporary
        if self._gpus:
            options |= {"spark.task.resource.gpu.amount": str(self._gpus)}
            options |= {"spark.executor.resource.gpu.amount": str(self._gpus)}
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = builder.appName("dqh").master(self._address or f"local[{self.workers}]")
        for name, value in options.items():
            builder = builder.config(name, value)
        return builder


class _Jobs:
    """Jobs by the slots of the threads that hold them."""

    def __init__(self, context: Any, workers: int) -> None:
        self._context = context
        self._content: Any = None
        self._threads = ThreadPoolExecutor(workers)
        self._running: dict[Future[Outcome], int] = {}

    def begin(self, content: bytes) -> None:
        self._content = self._context.broadcast(content)

    def give(self, slot: int, partition: Any) -> None:
        self._running[self._threads.submit(self._job, pickle.dumps(partition))] = slot

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        return [(self._running.pop(job), job.result()) for job in sorted(done, key=lambda job: self._running[job])]

    def close(self) -> None:
        self._context.cancelAllJobs()
        wait(self._running)
        self._running = {}

    def _job(self, partition: bytes) -> Outcome:
        content = self._content
        task = self._context.parallelize([partition], 1).map(lambda given: attempted(content.value, given))
        try:
            outcome: Outcome = pickle.loads(task.collect()[0])
        except Exception as error:  # Py4J raises what Java does; what a task raises is an outcome, and not here
            return Outcome("lost", text=f"its task of Spark failed ({_reason(error)})")
        return outcome


def no_java() -> str | None:
    """What to do about Java where Spark finds none; None where it does."""
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java") or (home and shutil.which("java", path=os.path.join(home, "bin"))):  # noqa: PTH118
        return None
    return f"the executor spark needs Java 17 or newer, and there is no java; install it ({JAVA}) or set JAVA_HOME"


def _reason(error: Exception) -> str:
    """What Java says in many lines, in one."""
    lines = [line.strip() for line in str(error).splitlines()]
    wanted = ("SparkException", "crashed", "Exception")
    return next((line for word in wanted for line in lines if word in line), first_line(error))[:200]
