"""Related items served: better than chance, by looks alone where the log is silent, errors that say what to do."""

from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from dqh.discovery.related.action_log import read_action_log
from dqh.discovery.related.looks import VISUAL
from dqh.discovery.related.pair_features import FEATURES
from dqh.discovery.related.related_answer import BY_LOG, BY_LOOKS
from dqh.discovery.related.related_fit import fit_related
from dqh.discovery.related.related_items import RelatedItems, open_related
from dqh.discovery.related.related_model import RelatedModel
from dqh.discovery.understanding import SeenObject
from dqh.encoded import Encoded
from dqh.errors import DataError, MismatchError, NoArtifactError
from dqh.index.store import Header, Row, Writer, open_index
from dqh.index.store.upkeep import remove
from tests.discovery.related.conftest import Shop, make_shop


@pytest.fixture(scope="module")
def items(shop: Shop, fitted: RelatedModel) -> RelatedItems:
    return RelatedItems(fitted, shop.snapshot)


def test_answers(items: RelatedItems, shop: Shop) -> None:
    name = shop.simulation.name(4)
    answer = items.related(name, k=5)
    assert (answer.path, answer.by, len(answer.items)) == (name, BY_LOG, 5)
    assert list(answer.seconds) == ["candidates", "features", "ranking"]
    scores = [item.score for item in answer.items]
    assert scores == sorted(scores, reverse=True)
    assert name not in {item.path for item in answer.items}
    assert len({item.path for item in answer.items}) == 5
    first = answer.items[0]
    assert set(first.features) == set(FEATURES)
    assert set(first.sources) <= {"visual", "object", "together", "shown"}
    own = np.array([[first.features[column] for column in FEATURES]])
    assert float(items.model.rankers.all.scores(own)[0]) == pytest.approx(first.score)


def test_save_propensity_is_that_of_the_log(items: RelatedItems, shop: Shop) -> None:
    """Users who saved the item of those who were shown it, counted by hand."""
    users, _, shown, _, saved = shop.simulation.shows.T
    for item in items.related(shop.simulation.name(0), k=3).items:
        number = next(place for place in range(80) if shop.simulation.name(place) == item.path)
        own = shown == number
        seen, kept = len(set(users[own])), len(set(users[own & (saved == 1)]))
        assert item.propensity is not None
        assert item.propensity[:3] == (kept, seen, kept / seen)
        assert item.propensity.low < item.propensity.value < item.propensity.high


def test_they_attract_more_than_chance(items: RelatedItems, shop: Shop) -> None:
    """Mean known attraction of the first five of the candidates that were shown, against that of all of them."""
    gains = []
    for query in range(80):
        of = dict(
            zip(
                map(shop.simulation.name, shop.simulation.candidates[query]),
                shop.simulation.attraction[query],
                strict=True,
            )
        )
        answer = items.related(shop.simulation.name(query), k=80)
        known = [of[item.path] for item in answer.items if item.path in of]
        gains.append(np.mean(known[:5]) - np.mean(list(of.values())))
    assert np.mean(gains) > 0.05
    assert np.mean(np.array(gains) > 0) > 0.8


def test_by_id_and_as_a_file(items: RelatedItems, shop: Shop) -> None:
    name = shop.simulation.name(7)
    answer = items.related(name)
    assert items.related(answer.id).items == answer.items
    assert items.related(f"/simulated/{name}").items == answer.items
    with_object = items.index.version.ids[items.looks.images.parts(items.image(name))[0]]
    assert items.related(int(with_object)).path == name


@pytest.fixture
def grown(tmp_path: Path) -> Shop:
    """An index with a photo that the log does not have, as alike to the first one as can be."""
    shop = make_shop(tmp_path, seed=1)
    version = shop.snapshot.version
    row = int(np.flatnonzero([row.path == shop.simulation.name(0) for row in version.rows(np.arange(len(version)))])[0])
    with Writer(shop.index) as writer:
        writer.add(
            [Row("new.jpg", ("category 00",))], version.codes(np.array([row])), version.read_features(np.array([row]))
        )
        writer.commit()
    return shop


def test_items_that_the_log_does_not_have(grown: Shop) -> None:
    """As a query it is served by looks alone; as a candidate it stands among the others."""
    model = fit_related(open_index(grown.index).version, read_action_log(grown.log), grown.log, measure=False)
    items = RelatedItems(model, grown.snapshot)
    answer = items.related("new.jpg", k=4)
    assert answer.by == BY_LOOKS
    assert all(set(item.features) == set(VISUAL) for item in answer.items)
    assert all(set(item.sources) <= {"visual", "object"} for item in answer.items)
    assert answer.items[0].path == grown.simulation.name(0)
    as_candidate = {item.path: item for item in items.related(grown.simulation.name(0), k=90).items}["new.jpg"]
    assert as_candidate.propensity is None
    assert as_candidate.features["item_rate"] == pytest.approx(np.log(model.counts.prior.mean))


@pytest.mark.parametrize("objects", ["no object", "an object", "a dominant object"])
def test_an_image_that_the_index_does_not_have(items: RelatedItems, shop: Shop, objects: str) -> None:
    """Asked by code, features and object of an item that the log does not have, it gets the answer of that item."""
    looks, version = items.looks, items.index.version
    count = len(looks.images.paths)
    image = next(n for n in range(count) if len(looks.images.parts(n)) == 1 and looks.dominant(n) is not None)
    path, row, part = looks.images.paths[image], int(looks.images.rows[image]), int(looks.images.parts(image)[0])
    silent = RelatedItems(replace(items.model, paths=tuple(f"x/{path}" for path in items.model.paths)), items.index)
    whole, own = version.encoded(row), version.encoded(part)
    (stored,) = version.rows(np.array([part]))
    assert stored.box is not None
    if objects == "no object":
        answer = silent.related_to(whole, k=80)
    else:
        area = 1.0 if objects == "a dominant object" else 0.01
        both = Encoded(*(np.concatenate(pair) for pair in zip(whole[:3], own[:3], strict=True)), whole.encoder_id)
        answer = silent.related_to(both, [SeenObject(stored.object, stored.score, stored.box, area)], k=80)
    assert (answer.path, answer.id, answer.by) == ("", None, BY_LOOKS)
    assert answer.items[0].path == path  # itself, which nothing tells apart
    assert answer.items[0].features["feature_distance"] == pytest.approx(0, abs=1e-3)
    wanted = {item.path: item for item in silent.related(path, k=80).items}
    for item in answer.items[1:]:
        same = wanted[item.path]
        if objects == "a dominant object":
            assert item.features == pytest.approx(same.features, abs=1e-6)
        else:
            assert item.features["dominant_distance"] == 0
            assert item.features["feature_distance"] == pytest.approx(same.features["feature_distance"])


def test_an_empty_index_has_nothing_to_relate(shop: Shop, fitted: RelatedModel, tmp_path: Path) -> None:
    version = shop.snapshot.version
    header = Header(fitted.encoder_id, version.quantizer, version.manifest.feature_size, detector_id=fitted.detector_id)
    with Writer(tmp_path / "empty", header) as writer:
        writer.commit()
    items = RelatedItems(fitted, open_index(tmp_path / "empty"))
    answer = items.related_to(version.encoded(0))
    assert (answer.items, answer.candidates, items.missing) == ((), 0, 80)


def test_a_newer_version_without_some_items(grown: Shop) -> None:
    model = fit_related(grown.snapshot.version, read_action_log(grown.log), grown.log, measure=False)
    name = grown.simulation.name(3)
    remove(grown.index, paths=[name])
    items = RelatedItems(model, open_index(grown.index))
    assert items.missing == 1
    assert all(
        item.path != name for query in range(3) for item in items.related(grown.simulation.name(query), k=90).items
    )
    with pytest.raises(DataError, match="the index has no image"):
        items.related(name)


def test_a_model_of_another_index(fitted: RelatedModel, shop: Shop) -> None:
    foreign = replace(fitted, paths=tuple(f"x/{path}" for path in fitted.paths))
    with pytest.raises(MismatchError, match=r"has none of the 80 items of log.csv, such as 'x/"):
        open_related(foreign, shop.snapshot)
    assert RelatedItems(foreign, shop.snapshot).related(shop.simulation.name(0)).by == BY_LOOKS
    with pytest.raises(MismatchError, match="with encoder other"):
        RelatedItems(replace(fitted, encoder_id="other"), shop.snapshot)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("none.jpg", "the index has no image 'none.jpg'; name one by the path"),
        ("", "the index has no image ''"),
        (10**6, "the index has no row 1000000"),
        (-1, "the index has no row -1"),
    ],
)
def test_unknown_items(items: RelatedItems, item: str | int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        items.related(item)


def test_the_nearest_path_is_told(items: RelatedItems, shop: Shop) -> None:
    name = shop.simulation.name(5)
    with pytest.raises(DataError, match=f"did you mean '{name}'"):
        items.related(name.replace(".jpg", ".jpeg"))


def test_k(items: RelatedItems, shop: Shop) -> None:
    with pytest.raises(ValueError, match="k must be a whole number from 1 to 1,048,576, got 0"):
        items.related(shop.simulation.name(0), k=0)
    assert len(items.related(shop.simulation.name(0), k=1000).items) == 79


def test_threads_share_it(items: RelatedItems, shop: Shop) -> None:
    wanted = [items.related(shop.simulation.name(query)).items for query in range(12)]
    seen: list[object] = [None] * 12

    def ask(query: int) -> None:
        seen[query] = items.related(shop.simulation.name(query)).items

    threads = [Thread(target=ask, args=(query,)) for query in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == wanted


def test_opened_by_path(fitted: RelatedModel, shop: Shop, tmp_path: Path) -> None:
    fitted.save(tmp_path / "model")
    name = shop.simulation.name(0)
    assert (
        open_related(tmp_path / "model", shop.index).related(name).items
        == RelatedItems(fitted, shop.snapshot).related(name).items
    )
    with pytest.raises(NoArtifactError, match="no fitted related items"):
        open_related(tmp_path / "none", shop.index)
