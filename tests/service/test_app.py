"""Every question, asked as a client asks it."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from dqh.collection import index_images, search_images
from dqh.discovery.flashlight import open_flashlight
from dqh.discovery.lens import open_lens
from tests.collection.seer import GREEN, RED, Seer, photo, photos
from tests.data.conftest import picture
from tests.service.conftest import Serve, encoded, until


def items(client: TestClient) -> dict[tuple[str, str | None], dict[str, Any]]:
    """All items by their names and objects."""
    answer = client.get("/v1/items?sizes=true").json()
    assert answer["next"] is None
    return {(item["name"], item["object"]): item for item in answer["items"]}


def test_an_upload_finds_what_a_search_finds(client: TestClient, indexed: Path, upload: bytes, tmp_path: Path) -> None:
    (tmp_path / "query.png").write_bytes(upload)
    wanted = search_images(indexed, [tmp_path / "query.png"], k=3, device="cpu").found.hits[0]
    answer = client.post("/v1/search?k=3", content=upload).json()
    assert [(hit["id"], hit["distance"], hit["code_distance"]) for hit in answer["hits"]] == [
        (hit.id, pytest.approx(hit.distance, rel=1e-5), hit.code_distance) for hit in wanted
    ]
    assert [hit["labels"] for hit in answer["hits"]] == [list(hit.labels) for hit in wanted]
    assert (answer["version"], answer["size"], answer["box"], answer["note"]) == (1, [48, 40], None, "")
    assert {"wait", "decode", "encode", "search", "total"} <= answer["seconds"].keys()


def test_a_part_of_an_upload(client: TestClient, indexed: Path, upload: bytes, tmp_path: Path) -> None:
    (tmp_path / "query.png").write_bytes(upload)
    found = search_images(
        indexed, [tmp_path / "query.png"], k=2, box=(12, 10, 36, 30), objects=True, device="cpu"
    ).found
    answer = client.post("/v1/search?k=2&box=0.25,0.25,0.75,0.75&among=objects", content=upload).json()
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in found.hits[0]]
    assert answer["box"] == [0.25, 0.25, 0.75, 0.75]
    for hit, own in zip(answer["hits"], found.hits[0], strict=True):
        assert own.box is not None
        sides = np.array([48, 40, 48, 40])
        assert hit["size"] == [48, 40]
        np.testing.assert_allclose(np.array(hit["box"]) * sides, own.box, atol=1e-4)


def test_a_dot_of_an_upload(client: TestClient, upload: bytes) -> None:
    """The blue object, 16 … 44 × 4 … 36 of 48 × 40."""
    answer = client.post("/v1/search?dot=0.6,0.5", content=upload).json()
    assert answer["box"] == pytest.approx([16 / 48, 4 / 40, 44 / 48, 36 / 40], abs=1e-5)
    nothing = client.post("/v1/search?dot=1,1", content=upload)
    assert nothing.status_code == 422
    assert "the nearest is a blue, 6 pixels away" in nothing.json()["detail"]


def test_an_item_finds_itself_first(client: TestClient) -> None:
    for (name, seen), item in items(client).items():
        among = "images" if seen is None else "objects"
        answer = client.get(f"/v1/search?id={item['id']}&among={among}").json()
        assert (answer["hits"][0]["id"], answer["hits"][0]["distance"]) == (item["id"], 0), name
        assert "decode" not in answer["seconds"]


def test_a_part_and_a_dot_of_an_item(client: TestClient, indexed: Path) -> None:
    whole = items(client)["a/both.png", None]
    file = indexed.parent / "photos" / "a" / "both.png"
    found = search_images(indexed, [file], k=3, box=(12, 10, 36, 30), device="cpu").found.hits[0]
    answer = client.get(f"/v1/search?id={whole['id']}&box=0.25,0.25,0.75,0.75&k=3").json()
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in found]
    x0, y0, x1, y1 = RED
    answer = client.get(f"/v1/search?id={whole['id']}&dot={(x0 + x1) / 96},{(y0 + y1) / 80}&among=objects").json()
    assert answer["hits"][0]["id"] == items(client)["a/both.png", "red"]["id"]


def test_filters(client: TestClient) -> None:
    answer = client.get("/v1/search", params={"id": 0, "where": "label = 'b'"}).json()
    assert {hit["name"] for hit in answer["hits"]} == {"b/red.png", "b/small.png"}
    none = client.get("/v1/search", params={"id": 0, "where": "label = 'c'"}).json()
    assert (none["hits"], none["note"]) == ([], "no row fits the filter")


def test_ranks(client: TestClient, upload: bytes) -> None:
    for rank in ("codes", "fine"):
        answer = client.post(f"/v1/search?rank={rank}", content=upload).json()
        assert answer["rank"] == rank
        assert [hit["code_distance"] == hit["distance"] for hit in answer["hits"]] == [rank == "codes"] * 4


def test_a_look_is_that_of_the_flashlight(client: TestClient, indexed: Path, upload: bytes, tmp_path: Path) -> None:
    (tmp_path / "query.png").write_bytes(upload)
    sight = open_flashlight(indexed, detector=Seer(), device="cpu").look(tmp_path / "query.png", k=2)
    answer = client.post("/v1/look?k=2", content=upload).json()
    assert [spot["object"] for spot in answer["spots"]] == ["red", "blue"]
    for spot, own in zip(answer["spots"], sight.spots, strict=True):
        assert [hit["id"] for hit in spot["hits"]] == [hit.id for hit in own.hits]
        assert [(word["word"], word["share"]) for word in spot["words"]] == [
            (word.word, pytest.approx(word.share, abs=1e-6)) for word in own.words
        ]
        assert spot["dot"] == pytest.approx([own.dot[0] / 48, own.dot[1] / 40], abs=1e-5)
    (part,) = client.post("/v1/look?box=0,0,0.5,0.5", content=upload).json()["spots"]
    assert (part["object"], part["box"]) == (None, [0, 0, 0.5, 0.5])


def test_objects_of_an_upload_and_of_an_item(client: TestClient, upload: bytes) -> None:
    seen = client.post("/v1/objects", content=upload).json()
    assert [(own["object"], own["score"]) for own in seen["objects"]] == [("red", 0.9), ("blue", 0.5)]
    whole = items(client)["a/both.png", None]
    stored = client.get(f"/v1/objects?id={whole['id']}").json()["objects"]
    for own, box in zip(stored, (RED, GREEN), strict=True):
        assert own["box"] == pytest.approx([box[0] / 48, box[1] / 40, box[2] / 48, box[3] / 40], abs=1e-5)
    plain = client.post("/v1/objects", content=encoded(picture(0), "PNG")).json()
    assert (plain["objects"], plain["note"]) == ([], "no object is seen in the image")


def test_items(client: TestClient) -> None:
    every = client.get("/v1/items?sizes=true").json()["items"]
    assert [item["id"] for item in every] == list(range(8))
    page = client.get("/v1/items?most=3&after=1").json()
    assert ([item["id"] for item in page["items"]], page["next"]) == ([2, 3, 4], 4)
    last = client.get(f"/v1/items?most=3&after={page['next']}").json()
    assert ([item["id"] for item in last["items"]], last["next"]) == ([5, 6, 7], None)
    some = client.get("/v1/items", params={"where": "object = 'red'"}).json()["items"]
    assert [item["name"] for item in some] == ["a/both.png", "b/red.png"]


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("most=4&spread=0", [0, 2, 4, 6]),  # parts of 8 / 4 = 2 rows
        ("most=4&spread=0.5", [1, 3, 5, 7]),
        ("most=3&spread=0.9", [2, 5, 7]),  # (0, 1, 2) + .9, times 8 / 3: 2.4, 5.07, 7.73
        ("most=9&spread=0.9", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("most=2&spread=0&after=3", [4, 6]),
        ("most=1&spread=0.99&where=id in (2, 3)", [3]),
    ],
)
def test_items_from_all_over_the_index(client: TestClient, asked: str, ids: list[int]) -> None:
    answer = client.get(f"/v1/items?{asked}").json()
    assert ([item["id"] for item in answer["items"]], answer["next"]) == (ids, None)


def test_an_item_knows_its_image_and_what_is_beside_it(client: TestClient) -> None:
    known = items(client)
    whole, red, green = (known["a/both.png", seen] for seen in (None, "red", "green"))
    answer = client.get(f"/v1/items/{red['id']}").json()
    assert (answer["image"], answer["objects"]) == (whole["id"], [red["id"], green["id"]])
    assert answer["tags"] == [{"word": "<b>bold</b>", "weight": 0.5}]
    assert answer["size"] == [48, 40]
    assert client.get(f"/v1/items/{whole['id']}").json()["image"] == whole["id"]


@pytest.mark.parametrize("kind", ["thumbnail", "preview"])
def test_pictures(client: TestClient, kind: str) -> None:
    item = items(client)["b/red.png", None]
    answer = client.get(item[kind])
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (48, 40)
    again = client.get(item[kind], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head(item[kind]).status_code == 200


def test_originals_where_they_are_allowed(indexed: Path, client: TestClient, serve: Serve) -> None:
    item = items(client)["b/red.png", None]
    assert item["original"] is None
    assert client.get(f"/v1/items/{item['id']}/original").status_code == 403
    allowed = serve(indexed, originals=True)
    answer = allowed.get(items(allowed)["b/red.png", None]["original"])
    assert answer.content == (indexed.parent / "photos" / "b" / "red.png").read_bytes()
    assert answer.headers["content-type"] == "image/png"


def test_what_is_served(client: TestClient) -> None:
    known = client.get("/v1/index").json()
    assert (known["version"], known["rows"], known["images"], known["objects"]) == (1, 8, 4, 4)
    assert known["labels"] == {"b": 4, "a": 4} or known["labels"] == {"a": 4, "b": 4}
    assert known["tags"] == {"<b>bold</b>": 1, "small": 1}
    assert known["can"] == ["upload", "detect", "lens", "objects"]
    assert known["limits"]["requests"] == 64
    assert known["detector_classes"] == ["red", "green", "blue"]


def test_an_index_without_objects_and_without_a_detector(
    artifact: Path, tmp_path: Path, serve: Serve, upload: bytes
) -> None:
    index_images(artifact, [photos(tmp_path / "photos")], tmp_path / "index", device="cpu")
    client = serve(tmp_path / "index", parts={"detector": None})
    assert client.get("/v1/index").json()["can"] == ["upload", "lens"]
    assert len(client.post("/v1/search", content=upload).json()["hits"]) == 4
    assert client.post("/v1/look?box=0,0,1,1", content=upload).json()["spots"][0]["hits"]
    for path in ("/v1/look", "/v1/objects", "/v1/search?dot=0.5,0.5"):
        refused = client.post(path, content=upload)
        assert refused.status_code == 409
        assert "this service was started without a detector" in refused.json()["detail"]
    refused = client.post("/v1/search?among=objects", content=upload)
    assert (refused.status_code, refused.json()["detail"][:24]) == (409, "the index has no objects")


def test_objects_are_answered_where_the_detector_is_left_out(indexed: Path, serve: Serve) -> None:
    client = serve(indexed, parts={"detector": None, "without_detector": True})
    assert client.get("/v1/index").json()["can"] == ["upload", "lens", "objects"]
    assert client.get("/v1/search?id=1&among=objects").status_code == 200
    assert len(client.get("/v1/objects?id=1").json()["objects"]) == 2
    refused = client.get("/v1/look?id=1")
    assert (refused.status_code, refused.json()["detail"][:44]) == (409, "this service was started without a detector,")


def test_an_index_without_rows(artifact: Path, tmp_path: Path, serve: Serve, upload: bytes) -> None:
    index_images(artifact, [photos(tmp_path / "photos")], tmp_path / "index", device="cpu")
    from dqh.index.store import remove

    remove(tmp_path / "index", where="id >= 0")
    client = serve(tmp_path / "index", parts={"detector": None})
    answer = client.post("/v1/search", content=upload).json()
    assert (answer["hits"], answer["note"]) == ([], "the index has no images")
    assert client.get("/v1/items").json()["items"] == []
    assert client.get("/v1/index").json()["labels"] == {}


def test_names_that_are_no_text(artifact: Path, tmp_path: Path, serve: Serve) -> None:
    """A name with bytes that are no UTF-8, and images outside the root of the collection."""
    root = tmp_path / "photos"
    photo(root / "a" / "1.png", 1)
    odd = photo(tmp_path / "x.png", 2).rename(root / "a" / "caf\udce9<b>.png")
    outside = photo(tmp_path / "secret" / "2.png", 3)
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    index_images(artifact, [outside], tmp_path / "index", device="cpu")
    client = serve(tmp_path / "index", parts={"detector": None})
    names = [item["name"] for item in client.get("/v1/items").json()["items"]]
    assert sorted(names) == sorted(["a/1.png", "a/caf�<b>.png", "2.png"])
    for item in client.get("/v1/items?sizes=true").json()["items"]:
        assert client.get(item["thumbnail"]).status_code == 200
        assert item["size"] == [48, 40]
    odd.unlink()


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/search", 400, "send an image as the body of a POST, or name an item by id in a GET"),
        ("/v1/search?id=8", 404, "no item 8 in version 1"),
        ("/v1/search?id=-1", 400, "id"),
        ("/v1/search?id=1.5", 400, "id"),
        ("/v1/search?id=9999999999999999999999", 400, "id"),
        ("/v1/search?id=1&k=0", 400, "k"),
        ("/v1/search?id=1&k=1001", 400, "k"),
        ("/v1/search?id=1&k=1&k=2", 400, "a parameter is given twice"),
        ("/v1/search?id=1&colour=red", 400, "unknown field `colour`"),
        ("/v1/search?id=1&among=all", 400, "among"),
        ("/v1/search?id=1&rank=best", 400, "rank"),
        ("/v1/search?id=1&where=label", 400, "label"),
        ("/v1/search?id=1&where=", 400, "where"),
        ("/v1/search?id=1&box=0,0,1,1&dot=0,0", 400, "box or dot"),
        ("/v1/search?id=1&box=0,0,1", 400, "box"),
        ("/v1/search?id=1&box=nan,0,1,1", 400, "box"),
        ("/v1/search?id=1&box=-1,0,1,1", 400, "shares of the image from 0 to 1"),
        ("/v1/search?id=1&box=0,0,1e9,1", 400, "shares of the image from 0 to 1"),
        ("/v1/search?id=1&box=1,1,0,0", 400, "x0 < x1"),
        ("/v1/search?id=1&dot=2,0", 400, "shares of the image from 0 to 1"),
        ("/v1/items/8", 404, "no item 8"),
        ("/v1/items/x", 404, "whole numbers"),
        ("/v1/items/8/thumbnail", 404, "no item 8"),
        ("/v1/look?id=1&most=99", 400, "most"),
        ("/v1/nothing", 404, "Not Found"),
        ("/v1/items?" + "&".join(f"p{number}=1" for number in range(40)), 400, "parameters"),
        ("/v1/items?where=" + "%20" * 20_000, 414, "parameters may have 32,768 bytes"),
        ("/v1/items?where=%ff", 400, "parameters"),
        ("/v1/items?spread=1", 400, "< 1.0"),
        ("/v1/items?spread=nan", 400, "spread"),
    ],
)
def test_what_is_refused(client: TestClient, path: str, status: int, detail: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert detail in problem["detail"]
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_methods_that_there_are_not(client: TestClient) -> None:
    answer = client.put("/v1/search", content=b"x")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD") or answer.status_code == 405
    assert client.get("/v1/session").status_code == 405


@pytest.mark.parametrize("content", [b"x", b"<svg/>", b"<html></html>", encoded(Image.new("RGB", (9, 9)), "PNG")[:40]])
def test_uploads_that_are_no_images(client: TestClient, content: bytes) -> None:
    for path in ("/v1/search", "/v1/look", "/v1/objects"):
        answer = client.post(path, content=content)
        assert answer.status_code == 422, path
    assert client.post("/v1/search", content=b"").status_code == 400


def test_an_item_and_an_image_together(client: TestClient, upload: bytes) -> None:
    assert client.post("/v1/search?id=1", content=upload).status_code == 400


def test_times_and_counts_are_told(client: TestClient, upload: bytes) -> None:
    answer = client.post("/v1/search", content=upload)
    assert "decode;dur=" in answer.headers["server-timing"]
    assert answer.headers["cache-control"] == "no-store"
    metrics = client.get("/metrics").text
    assert 'dqh_requests_total{method="POST",route="/v1/search",status="200"}' in metrics
    assert 'dqh_stage_seconds_count{stage="encode"}' in metrics
    assert "dqh_index_version 1.0" in metrics
    assert "dqh_index_rows 8.0" in metrics


def test_health(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready"}


def test_updates_and_removals_appear(artifact: Path, tmp_path: Path, serve: Serve) -> None:
    from dqh.index.store import remove

    root = photos(tmp_path / "photos")
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    client = serve(tmp_path / "index", parts={"detector": None})
    photo(root / "c" / "new.png", 7)
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    assert until(lambda: client.get("/v1/index").json()["version"] == 2)
    assert client.get("/v1/items/4").json()["name"] == "c/new.png"
    remove(tmp_path / "index", where="label = 'c'")
    assert until(lambda: client.get("/v1/items/4").status_code == 404)
    photo(root / "a" / "none.png", 8)
    changed = next(item for item in client.get("/v1/items").json()["items"] if item["name"] == "a/none.png")
    assert client.get(changed["thumbnail"]).status_code == 404
    index_images(artifact, [root], tmp_path / "index", device="cpu")
    assert until(lambda: client.get(changed["thumbnail"]).status_code == 200)


def test_nothing_is_written(
    indexed: Path, serve: Serve, upload: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither beside the index nor in the folder of temporary files, which other processes do not have."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the processes that decode
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = serve(indexed)

    def files() -> set[Path]:
        return {path for folder in (indexed.parent, tmp_path) for path in folder.rglob("*")}

    before = files()
    client.post("/v1/look", content=upload)
    client.get("/v1/items/0/thumbnail")
    assert files() - before == set()


def test_searches_by_items_at_a_time_are_what_each_is_alone(client: TestClient) -> None:
    """From eight threads, right ones and wrong ones, each with its own answer and status."""
    paths = [f"/v1/search?id={row}&k={k}&rank={rank}" for row in range(4) for k in (1, 3) for rank in ("codes", "fine")]
    paths += ["/v1/search?id=99", "/v1/search?id=1&where=)", "/v1/search", "/v1/search?id=2&where=label = 'b'"]

    def asked(path: str) -> tuple[int, Any]:
        answer = client.get(path)
        told = answer.json()
        return answer.status_code, {name: told.get(name) for name in ("hits", "rank", "rule", "detail", "note")}

    alone = [asked(path) for path in paths]
    assert {status for status, _ in alone} == {200, 400, 404}
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(asked, paths * 5)) == alone * 5


def test_a_lens_is_that_of_the_library(client: TestClient, indexed: Path, upload: bytes, tmp_path: Path) -> None:
    (tmp_path / "query.png").write_bytes(upload)
    wanted = open_lens(indexed, detector=Seer(), device="cpu").ask(tmp_path / "query.png", k=3)
    answer = client.post("/v1/lens?k=3", content=upload).json()
    assert [own["name"] for own in answer["results"]] == [result.path for result in wanted.results]
    assert [own["relevance"] for own in answer["results"]] == pytest.approx(
        [result.score for result in wanted.results], abs=1e-6
    )
    for own, result in zip(answer["results"], wanted.results, strict=True):
        assert [(named["source"], named["rank"]) for named in own["named"]] == [
            (naming.source, naming.rank) for naming in result.named
        ]
    assert [(own["name"], own["asked"], own["because"]) for own in answer["sources"]] == [
        (source.name, source.asked, list(source.because)) for source in wanted.sources
    ]
    seen = answer["understanding"]
    assert [own["object"] for own in seen["objects"]] == ["red", "blue"]
    assert [colour["name"] for colour in seen["colours"]] == [own.name for own in wanted.understanding.colours]
    assert [word["word"] for word in seen["words"]] == [own.word for own in wanted.understanding.annotations]
    assert "visual_search" in answer["seconds"]


def test_a_lens_on_a_part_and_on_an_item(client: TestClient) -> None:
    answer = client.get("/v1/lens?id=0&box=0,0,0.5,1&sizes=true").json()
    assert answer["box"] == [0, 0, 0.5, 1]
    assert answer["results"][0]["size"] == [48, 40]
    assert len(answer["understanding"]["objects"]) == 1
