"""The contract of executors, the same for each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dqh.errors import ConfigError, DqhError
from dqh.executors import Executor, Failure, SerialExecutor
from dqh.scale.choosing import ENGINES, Resources, executor_of
from tests.work_to_do import Broken, Dying, Setup, square, squares_but, unsendable

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ENGINES]


@pytest.fixture(scope="module", params=SLOW)
def engine(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Two workers of each engine, started once."""
    with started(request.param) as executor:
        yield executor


def started(name: str) -> Executor:
    """Two workers; a skip where what they need is not there."""
    try:
        return executor_of(name, Resources(workers=2))
    except DqhError as error:
        pytest.skip(str(error))


def made(folder: Path, what: str) -> int:
    return len(list(folder.glob(f"{what}-*")))


def test_in_this_process(tmp_path: Path) -> None:
    with SerialExecutor() as executor:
        results = list(executor.run(Setup(tmp_path), square, [4, 2, 9]))
        assert [(number, value) for number, (value, _) in results] == [(0, 16), (1, 4), (2, 81)]
        assert list(executor.run(Setup(tmp_path), square, [])) == []
        assert made(tmp_path, "setup") == 1
        failed = dict(executor.run(Setup(tmp_path), squares_but, [6, 7, 8, 1]))
    assert failed[0] == Failure("error", "OSError: [Errno 5] the disk is away", 3)
    assert failed[1] == Failure("error", "no such column", 1)
    assert (failed[2][0], failed[3][0]) == (64, 1)


def test_a_task_that_no_worker_finds_is_refused() -> None:
    with SerialExecutor() as executor, pytest.raises(ConfigError, match="must be functions of a module"):
        next(executor.run(lambda: None, lambda state, partition: None, [1]))


def test_results_come_once_and_state_is_made_once_a_worker(engine: Executor, tmp_path: Path) -> None:
    for _ in range(2):
        results = list(engine.run(Setup(tmp_path), square, range(12)))
        assert sorted(number for number, _ in results) == list(range(12))
        assert all(value == number * number for number, (value, _) in results)
    assert 1 <= made(tmp_path, "setup") <= 2
    assert made(tmp_path, "task") == 24


def test_what_fails_costs_its_partition_alone(engine: Executor, tmp_path: Path) -> None:
    """3 kills its worker twice; 5, which does once, and 8, which raises once, have results all the same."""
    results = dict(engine.run(Setup(tmp_path), squares_but, range(12), retries=1))
    failures = {number: result for number, result in results.items() if isinstance(result, Failure)}
    assert sorted(results) == list(range(12))
    assert {number: (failure.kind, failure.attempts) for number, failure in failures.items()} == {
        3: ("lost", 2),
        6: ("error", 2),
        7: ("error", 1),
    }
    assert failures[6].reason == "OSError: [Errno 5] the disk is away"
    assert failures[7].reason == "no such column"
    assert "ended" in failures[3].reason or "failed" in failures[3].reason
    good = {number: result[0] for number, result in results.items() if not isinstance(result, Failure)}
    assert good == {number: number * number for number in range(12) if number not in failures}


def test_a_setup_that_fails(engine: Executor) -> None:
    results = dict(engine.run(Broken(), square, [1, 2]))
    assert results == dict.fromkeys(range(2), Failure("error", "nothing to set up", 1))


def test_a_setup_that_kills_its_worker() -> None:
    with started("local") as executor:
        results = dict(executor.run(Dying(), square, [1, 2], retries=1))
    assert results == dict.fromkeys(range(2), Failure("lost", "its process ended (SIGKILL)", 2))


def test_a_result_that_cannot_be_sent(engine: Executor, tmp_path: Path) -> None:
    ((_, failure),) = engine.run(Setup(tmp_path), unsendable, [1])
    assert (failure.kind, failure.attempts) == ("error", 1)
    assert "its result cannot be sent" in failure.reason


def test_who_asks_for_no_more_ends_the_workers(engine: Executor, tmp_path: Path) -> None:
    results = engine.run(Setup(tmp_path), square, range(50))
    next(results)
    results.close()
    assert made(tmp_path, "task") < 50
    assert sorted(number for number, _ in engine.run(Setup(tmp_path), square, range(2))) == [0, 1]


@pytest.mark.parametrize(
    ("name", "resources", "message"),
    [
        ("dask", Resources(), "executor must be one of local, ray, spark, got 'dask'"),
        ("local", Resources(workers=0), "workers must be at least 1, got 0"),
        ("local", Resources(address="auto"), "address is for the executors ray and spark, got 'auto' for local"),
        ("local", Resources(gpus=1), "gpus is for the executors ray and spark, got 1 for local"),
        ("ray", Resources(gpus=-1), "gpus must be at least 0, got -1"),
        ("ray", Resources(address="auto", temporary="x"), "a cluster that runs has its own temporary folder"),
        ("spark", Resources(gpus=-1), "gpus must be at least 0, got -1"),
    ],
)
def test_what_no_executor_takes(name: str, resources: Resources, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        executor_of(name, resources)
