"""The simulator: what is saved is saved as often as it says, and the index and the log hold it."""

from pathlib import Path

import numpy as np
import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.impressions import impressions_of
from dqh.discovery.related.looks import Looks
from dqh.discovery.related.simulation import grades_of, simulate
from tests.discovery.related.conftest import Shop


def test_grades() -> None:
    assert grades_of(np.array([0.0, 0.1, 0.2, 0.34, 0.35, 0.5, 1.0])).tolist() == [0, 1, 2, 2, 3, 4, 4]


def test_shows_are_saved_with_the_chance_that_is_said(shop: Shop) -> None:
    """Saves by place, within four standard errors of attraction / place."""
    simulation = shop.simulation
    _, queries, items, positions, saved = simulation.shows.T
    spot = (simulation.candidates[queries] == items[:, None]).argmax(axis=1)
    chance = simulation.attraction[queries, spot] / positions
    for place in range(1, 9):
        own = positions == place
        error = np.sqrt((chance[own] * (1 - chance[own])).sum())
        assert abs(saved[own].sum() - chance[own].sum()) < 4 * error


def test_candidates_are_others_and_different(shop: Shop) -> None:
    for item, shown in enumerate(shop.simulation.candidates):
        assert len({item, *shown.tolist()}) == 9


def test_the_log_is_what_was_done(shop: Shop) -> None:
    log = read_action_log(shop.log)
    shows = impressions_of(log)
    simulation = shop.simulation
    assert len(shows) == len(simulation.shows) == 80 * 20 * 8
    assert shows.saved.sum() == simulation.shows[:, 4].sum()
    assert log.saved.sum() == simulation.shows[:, 4].sum() + simulation.boards.size
    assert log.faults == ()


def test_the_index_is_what_is_seen(shop: Shop) -> None:
    simulation, looks = shop.simulation, Looks(shop.snapshot.version)
    number = looks.images.numbers
    one, other = number[simulation.name(0)], number[simulation.name(1)]
    whole = simulation.photos.whole
    distance = looks.distances(one, np.array([other]))[0]
    assert distance[1] == pytest.approx(float(np.linalg.norm(whole[0] - whole[1])), rel=1e-2)
    dominant = [looks.dominant(number[simulation.name(item)]) is not None for item in range(80)]
    assert dominant == simulation.photos.is_dominant.tolist()


def test_the_same_seed_gives_the_same_log(shop: Shop, tmp_path: Path) -> None:
    settings = {"items": 40, "candidates": 8, "impressions": 2, "users": 9, "board": 3, "categories": 2}
    one, again, other = (simulate(**settings, seed=seed) for seed in (5, 5, 6))
    assert (one.shows == again.shows).all()
    assert (one.shows[:, 4] != other.shows[:, 4]).any()
