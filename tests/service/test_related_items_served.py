"""Related items over HTTP: those of the library, by the log or by looks alone, and versions that come and go."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from dqh.collection import index_images
from dqh.discovery.related import fit_related, open_related
from dqh.discovery.related.action_log import read_action_log
from dqh.errors import MismatchError
from dqh.index.store import open_index, remove
from dqh.service.app import make_app
from dqh.service.gauges import Gauges
from dqh.service.openapi import description
from dqh.service.routes import ROUTES
from dqh.service.settings import Settings
from tests.collection.seer import Seer, photo, photos
from tests.service.conftest import Serve, opened

NAMES = ("a/both.png", "a/none.png", "b/red.png", "b/small.png")


def write_log(file: Path) -> Path:
    """Forty users are shown the other three images beside each of the first three, and save the first of them."""
    rng, lines = np.random.default_rng(0), ["user,item,action,time,query,position"]
    for user in range(40):
        query = NAMES[user % 3]
        shown = [name for name in NAMES if name != query]
        for place, other in enumerate(rng.permutation(3).tolist()):
            lines.append(f"{user},{shown[other]},show,{1_700_000_000 + 100 * user},{query},{place + 1}")
        lines.append(f"{user},{shown[0]},save,{1_700_000_050 + 100 * user},{query},")
    file.write_text("\n".join(lines) + "\n")
    return file


def fit(index: Path, folder: Path) -> Path:
    """Related items by a log that lies beside the photos of an index, kept in a folder."""
    log = write_log(index.parent / "photos" / "log.csv")
    model = fit_related(open_index(index).version, read_action_log(log), log, measure=False)
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(indexed, tmp_path_factory.mktemp("fitted") / "related")


@pytest.fixture(scope="module")
def client(indexed: Path, model: Path) -> Iterator[TestClient]:
    """Of a service that tests share."""
    guard = make_app(opened(indexed, related=model), Settings(workers=1), Gauges())
    with TestClient(guard, "http://127.0.0.1:8000", raise_server_exceptions=False) as own:
        yield own


def test_an_item_has_the_answer_of_the_library(client: TestClient, indexed: Path, model: Path) -> None:
    wanted = open_related(model, indexed).related("a/both.png", k=3)
    answer = client.get(f"/v1/related?id={wanted.id}&k=3&sizes=true").json()
    assert (answer["item"], answer["by"], answer["ranker"]) == (wanted.id, "the log and looks", "ranksvm")
    assert (answer["version"], answer["size"], answer["candidates"], answer["note"]) == (1, None, 3, "")
    assert [hit["id"] for hit in answer["hits"]] == [item.id for item in wanted.items]
    for hit, item in zip(answer["hits"], wanted.items, strict=True):
        assert hit["relevance"] == pytest.approx(item.score, abs=1e-6)
        assert hit["features"] == pytest.approx(item.features, abs=1e-6)
        assert hit["distance"] == hit["features"]["feature_distance"]
        assert hit["code_distance"] == hit["features"]["code_distance"]
        assert hit["sources"] == list(item.sources)
        assert item.propensity is not None
        assert hit["propensity"] == pytest.approx(item.propensity._asdict())
        assert hit["size"] == [48, 40]
        assert client.get(hit["thumbnail"]).status_code == 200
    assert {"candidates", "features", "ranking", "answer", "total"} <= answer["seconds"].keys()


def test_an_object_is_asked_by_its_image(client: TestClient) -> None:
    """Ids of objects are rows, too: what is related is related to the image."""
    image = client.get("/v1/related?id=0").json()["item"]
    beside = client.get(f"/v1/items/{image}").json()["objects"]
    assert beside
    assert {client.get(f"/v1/related?id={number}").json()["item"] for number in beside} == {image}


def test_an_upload_has_looks_alone(client: TestClient, indexed: Path, model: Path) -> None:
    """A photo of the index that is sent is compared as any other is, and nearest to itself."""
    answer = client.post("/v1/related", content=(indexed.parent / "photos" / "b" / "red.png").read_bytes()).json()
    assert (answer["item"], answer["by"], answer["size"]) == (None, "looks alone", [48, 40])
    first = answer["hits"][0]
    assert first["name"] == "b/red.png"
    assert list(first["features"]) == ["code_distance", "feature_distance", "object_distance", "dominant_distance"]
    assert first["features"] == pytest.approx(dict.fromkeys(first["features"], 0), abs=1e-2)
    by_item = open_related(model, indexed)
    image = by_item.image("b/red.png")
    others = np.array([by_item.image(hit["name"]) for hit in answer["hits"][1:]])
    wanted = by_item.looks.distances(image, others)
    own = [list(hit["features"].values()) for hit in answer["hits"][1:]]
    np.testing.assert_allclose(own, wanted, rtol=2e-3, atol=1e-2)  # the whole is read again, and rounded to float16
    assert {"decode", "detect", "encode", "candidates"} <= answer["seconds"].keys()


@pytest.mark.slow
def test_without_a_detector_an_upload_is_one_object(indexed: Path, model: Path, serve: Serve, upload: bytes) -> None:
    client = serve(indexed, parts={"related": model, "detector": None, "without_detector": True})
    answer = client.post("/v1/related?k=2", content=upload).json()
    assert len(answer["hits"]) == 2
    assert "detect" not in answer["seconds"]
    assert all(hit["features"]["dominant_distance"] == 0 for hit in answer["hits"])


@pytest.mark.slow
def test_it_is_told_where_it_can_be_asked(client: TestClient, indexed: Path, serve: Serve) -> None:
    assert client.get("/v1/index").json()["can"] == ["upload", "detect", "lens", "objects", "related"]
    client.get("/v1/related?id=0")
    metrics = client.get("/metrics").text
    assert 'dqh_related_total{by="the log and looks"}' in metrics
    assert "dqh_related_missing_items 0.0" in metrics
    assert 'dqh_stage_seconds_count{stage="ranking"}' in metrics
    without = serve(indexed)
    assert "related" not in without.get("/v1/index").json()["can"]
    refused = without.get("/v1/related?id=0")
    assert refused.status_code == 409
    assert "dqh serve INDEX --related DIR" in refused.json()["detail"]


def test_the_description_has_it() -> None:
    operations = description(ROUTES)["paths"]["/v1/related"]
    assert set(operations) == {"get", "post"}
    assert {own["name"] for own in operations["post"]["parameters"]} == {"k", "sizes"}
    hit = description(ROUTES)["components"]["schemas"]["RelatedHit"]["properties"]
    assert {"id", "name", "thumbnail", "distance", "relevance", "features", "propensity"} <= set(hit)


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/related", 400, "name an item by id"),
        ("/v1/related?id=99", 404, "no item 99 in version 1"),
        ("/v1/related?id=0&k=0", 400, "k"),
        ("/v1/related?id=0&k=101", 400, "k"),
        ("/v1/related?id=0&box=0,0,1,1", 400, "unknown field `box`"),
    ],
)
def test_what_is_refused(client: TestClient, path: str, status: int, detail: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert detail in answer.json()["detail"]


def test_uploads_that_are_no_images(client: TestClient) -> None:
    assert client.post("/v1/related", content=b"<svg/>").status_code == 422
    assert client.post("/v1/related?id=0", content=b"x").status_code == 400


@pytest.mark.slow
def test_items_of_the_log_that_are_removed(artifact: Path, tmp_path: Path, serve: Serve) -> None:
    """One that is gone is missing; where all are, what comes after them is served by its looks."""
    root = photos(tmp_path / "photos")
    index_images(artifact, [root], tmp_path / "index", objects=Seer(), device="cpu")
    model = fit(tmp_path / "index", tmp_path / "model")
    client = serve(tmp_path / "index", parts={"related": model})
    photo(root / "c" / "new.png", 7, red=(2, 2, 20, 20))
    photo(root / "c" / "other.png", 8)
    index_images(artifact, [root], tmp_path / "index", objects=Seer(), device="cpu")
    remove(tmp_path / "index", where="path like 'b/red%'")
    assert any(client.get("/v1/index").json()["version"] == 3 for _ in range(2000))
    assert "dqh_related_missing_items 1.0" in client.get("/metrics").text
    names = [hit["name"] for hit in client.get("/v1/related?id=0").json()["hits"]]
    assert sorted(names) == ["a/none.png", "b/small.png", "c/new.png", "c/other.png"]
    remove(tmp_path / "index", where="path like 'a/%' or path like 'b/%'")
    assert any(client.get("/v1/index").json()["version"] == 4 for _ in range(2000))
    (new, *_) = client.get("/v1/items?where=path like 'c/new%25'").json()["items"]
    answer = client.get(f"/v1/related?id={new['id']}").json()
    assert (answer["by"], [hit["name"] for hit in answer["hits"]]) == ("looks alone", ["c/other.png"])


@pytest.mark.slow
def test_a_model_of_another_collection_is_refused_as_the_service_starts(
    artifact: Path, tmp_path: Path, model: Path, serve: Serve
) -> None:
    photo(tmp_path / "photos" / "z.png", 1)
    index_images(artifact, [tmp_path / "photos"], tmp_path / "index", objects=Seer(), device="cpu")
    with pytest.raises(MismatchError, match=r"has none of the 4 items of log\.csv"):
        serve(tmp_path / "index", parts={"related": model})
    photo(tmp_path / "plain" / "z.png", 1)
    index_images(artifact, [tmp_path / "plain"], tmp_path / "without", device="cpu")
    with pytest.raises(MismatchError, match="fit anew"):
        serve(tmp_path / "without", parts={"related": model, "detector": None})
