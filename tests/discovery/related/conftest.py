"""A small simulated collection with its index and its log, and a model that was fitted to it."""

from pathlib import Path
from typing import NamedTuple

import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.related_fit import fit_related
from dqh.discovery.related.related_model import RelatedModel
from dqh.discovery.related.simulation import Simulation, simulate, write_index, write_log
from dqh.index.store import Snapshot, open_index


class Shop(NamedTuple):
    simulation: Simulation
    index: Path
    log: Path

    @property
    def snapshot(self) -> Snapshot:
        return open_index(self.index)


def make_shop(folder: Path, seed: int = 0) -> Shop:
    simulation = simulate(
        items=80, candidates=8, impressions=20, users=150, board=6, categories=4, dimension=6, seed=seed
    )
    write_index(simulation, folder / "index")
    write_log(simulation, folder / "log.csv")
    return Shop(simulation, folder / "index", folder / "log.csv")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return make_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def fitted(shop: Shop) -> RelatedModel:
    return fit_related(shop.snapshot.version, read_action_log(shop.log), shop.log)
