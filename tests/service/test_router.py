"""A router over shards on sockets of this process answers as one index does, and says so where a shard is missing."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from starlette.testclient import TestClient

from dqh.collection import index_images
from dqh.index.store import Header, Row, Writer, open_index, remove, snapshot
from dqh.index.store.manifest import ENCODER
from dqh.index.store.part import part_of
from dqh.index.store.splitting import split
from dqh.index.store.tags import Tag
from dqh.service import fields, shard
from dqh.service import served as serving
from dqh.service.app import make_app
from dqh.service.cut import HEADER, headers_of
from dqh.service.gauges import Gauges
from dqh.service.router import Router
from dqh.service.settings import Settings
from tests.collection.seer import Seer, photos
from tests.service.conftest import opened
from tests.service.routing import Fake, fake, routed, served

__all__ = ["fake"]

IMAGES, OBJECTS, SHARDS = 240, 160, 4
TOKEN = "a token of some length"


@pytest.fixture(scope="module")
def whole(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many rows of few codes and features, so that distances are often equal; objects lie in three images each."""
    folder, rng = tmp_path_factory.mktemp("whole") / "index", np.random.default_rng(0)
    header = Header.of(indexed, open_index(indexed).version.manifest)
    rows = [Row(f"{number}.png", (f"label {number % 3}",)) for number in range(IMAGES)]
    for number in range(OBJECTS):
        image = number * 7 % (IMAGES // 3)
        rows.append(Row(f"{image}.png", (f"label {image % 3}",), (0, 0, number + 1, 1), b"", "cup", number / OBJECTS))
    embedding = rng.normal(size=(len(rows), header.quantizer.dimension)).astype(np.float32)
    codes = header.quantizer.encode(embedding)[rng.integers(0, 40, len(rows))]
    features = rng.integers(-1, 2, (len(rows), header.feature_size)).astype(np.float32)
    with Writer(folder, header) as writer:
        writer.add(rows, codes, features)
        writer.tag({f"{number}.png": (Tag("odd", 0.5),) for number in range(1, IMAGES, 2)})
        writer.commit(beside={ENCODER: (indexed / ENCODER).read_bytes()})
    return folder


@pytest.fixture(scope="module")
def folders(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return split(whole, tmp_path_factory.mktemp("split") / "shards", shards=SHARDS)


@pytest.fixture(scope="module")
def urls(folders: tuple[Path, ...]) -> Iterator[list[str]]:
    with ExitStack() as stack:
        yield [stack.enter_context(served(folder)) for folder in folders]


@pytest.fixture(scope="module")
def router(urls: list[str]) -> Iterator[TestClient]:
    with routed(urls) as client:
        yield client


@pytest.fixture(scope="module")
def one(whole: Path) -> Iterator[TestClient]:
    """A service over the whole index."""
    guard = make_app(opened(whole), Settings(workers=1), Gauges())
    with TestClient(guard, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


def found(client: TestClient, content: bytes | None = None, **asked: Any) -> dict[str, Any]:
    if content is None:
        response = client.get("/v1/search", params=asked)
    else:
        response = client.post("/v1/search", params=asked, content=content)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


SAME = ("hits", "candidates", "rule", "rank", "engine", "size", "box", "note")
ASKED: list[dict[str, Any]] = [
    {},
    {"k": 1},
    {"k": 50},
    {"k": 1000},
    {"rank": "codes"},
    {"rank": "codes", "k": 7},
    {"where": "label = 'label 1'"},
    {"where": "label = 'none'"},
    {"where": "id < 9", "rank": "codes"},
    {"among": "objects"},
    {"among": "objects", "k": 3},
    {"among": "objects", "k": 1000},
    {"among": "objects", "rank": "codes", "k": 30},
    {"among": "objects", "where": "score > .5", "k": 60},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("pool", [1000, 30])
def test_the_answers_are_those_of_one_index(
    router: TestClient, one: TestClient, asked: dict[str, Any], pool: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "POOL", pool)
    monkeypatch.setattr(shard, "POOL", pool)
    for item in (0, 61, 200, 399):
        own, truth = found(router, id=item, **asked), found(one, id=item, **asked)
        if asked.get("k", 0) > IMAGES and pool == 30:  # one index is asked for no more than it has rows
            truth["rule"] = own["rule"]
        assert {name: own[name] for name in SAME} == {name: truth[name] for name in SAME}
        assert (own["partial"], [state["state"] for state in own["shards"]]) == (False, ["answered"] * SHARDS)


@pytest.mark.parametrize("asked", [{}, {"box": "0,0,.5,.5"}, {"dot": ".6,.5"}, {"among": "objects"}], ids=str)
def test_uploads_are_encoded_once(router: TestClient, one: TestClient, upload: bytes, asked: dict[str, Any]) -> None:
    own, truth = found(router, upload, **asked), found(one, upload, **asked)
    assert {name: own[name] for name in SAME} == {name: truth[name] for name in SAME}
    assert own["seconds"]["total"] > 0


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"id": 99999}, 404, "no item 99999 in any of the 4 shards"),
        ({"id": 1, "where": "nonsense ="}, 400, ""),
        ({"id": 1, "k": 0}, 400, ""),
        ({"id": 1, "box": "0,0,1,1", "dot": ".5,.5"}, 400, "give box or dot"),
        ({}, 400, "name an item by id"),
    ],
)
def test_what_an_index_refuses_is_refused(router: TestClient, asked: dict[str, Any], status: int, text: str) -> None:
    response = router.get("/v1/search", params=asked)
    assert (response.status_code, text in response.json()["detail"]) == (status, True), response.text


def test_an_image_that_is_none(router: TestClient) -> None:
    assert router.post("/v1/search", content=b"no image").status_code == 422


def test_items_come_in_the_same_pages(router: TestClient, one: TestClient) -> None:
    for asked in ({"most": 37}, {"most": 11, "where": "object = 'cup'"}):
        after = -1
        for _ in range(100):
            own = router.get("/v1/items", params={**asked, "after": after}).json()
            truth = one.get("/v1/items", params={**asked, "after": after}).json()
            assert [item["id"] for item in own["items"]] == [item["id"] for item in truth["items"]]
            if truth["next"] is None:
                assert own["next"] is None
                break
            after = own["next"]
            assert after == truth["next"]
        else:
            pytest.fail("pages without end")


def test_items_from_all_over_are_of_every_shard(router: TestClient, folders: tuple[Path, ...]) -> None:
    own = router.get("/v1/items", params={"most": 9, "spread": 0.5}).json()
    ids = [item["id"] for item in own["items"]]
    assert (len(ids), own["next"], ids) == (9, None, sorted(ids))
    assert all(set(ids) & set(open_index(folder).version.ids.tolist()) for folder in folders)


def test_what_is_known_is_of_all_shards(router: TestClient, one: TestClient) -> None:
    own, truth = router.get("/v1/index").json(), one.get("/v1/index").json()
    same = ("rows", "images", "objects", "labels", "tags", "encoder_id", "bits", "code_kind", "distance", "rank")
    assert {name: own[name] for name in same} == {name: truth[name] for name in same}
    assert set(own["can"]) == {"upload", "detect", "objects"}
    assert (own["partial"], own["at_least"], own["part"]) == (False, [], None)


def test_counts_that_shards_do_not_tell_all_of(
    whole: Path, router: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three labels are told by each of two shards here, and all of one tag; of one shard all is known."""
    monkeypatch.setattr(fields, "MOST_LABELS", 2)
    monkeypatch.setattr(serving, "MOST_LABELS", 2)
    for shards, at_least in ((2, ["labels"]), (1, [])):
        with ExitStack() as stack:
            cut = split(whole, tmp_path / str(shards), shards=shards)
            client = stack.enter_context(routed([stack.enter_context(served(folder)) for folder in cut]))
            known = client.get("/v1/index").json()
            assert (known["at_least"], len(known["labels"]), known["tags"]) == (at_least, 2, {"odd": IMAGES // 2})


def test_an_item_and_its_pictures_come_from_its_shard(indexed: Path, tmp_path: Path) -> None:
    guard = make_app(opened(indexed), Settings(workers=1), Gauges())
    whole = TestClient(guard, "http://127.0.0.1:8000")
    with ExitStack() as stack:
        stack.enter_context(whole)
        shards = split(indexed, tmp_path / "shards", shards=2)
        client = stack.enter_context(routed([stack.enter_context(served(folder)) for folder in shards]))
        for number in open_index(indexed).version.ids.tolist():
            assert client.get(f"/v1/items/{number}").json() | {"version": 0} == (
                whole.get(f"/v1/items/{number}").json() | {"version": 0}
            )
            own, truth = (one.get(f"/v1/items/{number}/thumbnail") for one in (client, whole))
            assert (own.content, own.headers["content-type"]) == (truth.content, "image/jpeg")
            again = client.get(f"/v1/items/{number}/thumbnail", headers={"if-none-match": own.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            objects = [one.get("/v1/objects", params={"id": number}).json()["objects"] for one in (client, whole)]
            assert objects[0] == objects[1]
        assert client.get("/v1/items/0/original").status_code == 403
        assert client.get("/v1/items/77/thumbnail").status_code == 404


def test_an_image_that_is_gone_is_told_as_by_one_index(artifact: Path, tmp_path: Path) -> None:
    """Or has changed; also once it is known which shard has it. What looks like it is found all the same."""
    index_images(artifact, [photos(tmp_path / "photos")], tmp_path / "index", objects=Seer(), device="cpu")
    shards = split(tmp_path / "index", tmp_path / "shards", shards=2)
    version = open_index(tmp_path / "index").version
    first, second = (next(iter(open_index(folder).version.rows(np.array([0])))) for folder in shards)
    root = Path(version.manifest.root)
    (root / first.path).unlink()
    (root / second.path).write_bytes((root / second.path).read_bytes() + b"more")
    guard = make_app(opened(tmp_path / "index"), Settings(workers=1), Gauges())
    with ExitStack() as stack:
        whole = stack.enter_context(TestClient(guard, "http://127.0.0.1:8000"))
        client = stack.enter_context(routed([stack.enter_context(served(folder)) for folder in shards]))
        for row, text in ((first, "cannot be read any more"), (second, "has changed since")):
            paths = [f"/v1/items/{row.id}/thumbnail", f"/v1/items/{row.id}/preview", f"/v1/objects?id={row.id}"]
            for path in (*paths, f"/v1/search?id={row.id}&box=0,0,.5,.5"):
                own, truth = (one.get(path).json() for one in (client, whole))
                assert (own["status"], own["detail"]) == (truth["status"], truth["detail"])
                assert (own["status"], text in own["detail"]) == (404, True)
            own, truth = (found(one, id=row.id)["hits"] for one in (client, whole))
            assert own == truth
            assert client.get(paths[0]).json()["detail"] == whole.get(paths[0]).json()["detail"]


def test_objects_of_an_upload(router: TestClient, one: TestClient, upload: bytes) -> None:
    own, truth = (client.post("/v1/objects", content=upload).json()["objects"] for client in (router, one))
    assert own == truth
    assert len(own) == 2


def test_a_shard_that_is_down_is_named_and_the_others_answer(
    folders: tuple[Path, ...], urls: list[str], one: TestClient
) -> None:
    """What they answer is what one index would without the rows of that shard, all of which are candidates here."""
    with ExitStack() as stack:
        gone = ExitStack()
        own = gone.enter_context(served(folders[1]))
        client = stack.enter_context(routed([urls[0], own, *urls[2:]]))
        item = int(open_index(folders[0]).version.ids[0])
        lost = open_index(folders[1]).version.ids.tolist()
        assert found(client, id=item)["partial"] is False
        gone.close()
        answer, truth = found(client, id=item, k=100), found(one, id=item, k=1000)
        assert answer["hits"] == [hit for hit in truth["hits"] if hit["id"] not in lost][:100]
        assert answer["partial"] is True
        states = [(state["shard"], state["address"], state["state"]) for state in answer["shards"]]
        assert states[:3] == [(0, urls[0], "answered"), (1, own, "down"), (2, urls[2], "answered")]
        assert answer["shards"][1]["reason"] == "nobody listens there"
        assert client.get("/v1/index").json()["partial"] is True
        assert client.get("/v1/items").json()["partial"] is True
        for path in ("/v1/search?id=", "/v1/items/"):
            response = client.get(f"{path}{lost[0]}")
            told = response.json()["detail"]
            assert (response.status_code, told.startswith("no answer from 1 of ")) == (503, True)
            assert f"where that item may be: shard 1, {own}: nobody listens there" in told
        assert "dqh_partial_total 1.0" in client.get("/metrics").text


def test_an_older_copy_of_a_shard_is_named_until_it_catches_up(whole: Path, tmp_path: Path) -> None:
    """Restored from a copy of before a removal, it would bring back the removed rows."""
    first, second = split(whole, tmp_path / "shards", shards=2)
    older = Path(shutil.copytree(first, tmp_path / "older"))
    removed = set(remove(first, where="label = 'label 0'"))
    with ExitStack() as stack:
        other = stack.enter_context(served(second))
        with served(first) as own:
            client = stack.enter_context(routed([own, other]))
            fresh = found(client, id=1, k=1000)
            assert (fresh["partial"], [state["version"] for state in fresh["shards"]]) == (False, [2, 1])
        port = int(own.rpartition(":")[2])
        with served(older, port=port):
            kept = set(open_index(older).version.ids.tolist())
            answer = found(client, id=int(open_index(second).version.ids[0]), k=1000)
            assert not {hit["id"] for hit in answer["hits"]} & kept
            for told in (answer, client.get("/v1/items").json(), client.get("/v1/index").json()):
                assert (told["partial"], [state["state"] for state in told["shards"]]) == (True, ["down", "answered"])
                reason = "its index has version 1, version 2 was there before: an older copy, "
                assert told["shards"][0]["reason"].startswith(reason)
            for path in ("/v1/items/", "/v1/search?id=", "/v1/objects?id="):
                assert client.get(f"{path}{min(removed)}").status_code == 503
        remove(older, where="label = 'label 0'")
        with served(older, port=port):
            assert found(client, id=1, k=1000)["hits"] == fresh["hits"]
        with served(older) as elsewhere, routed([elsewhere, other]) as anew:
            assert found(anew, id=1, k=1000)["hits"] == fresh["hits"]


def test_a_shard_tells_which_part_it_is(folders: tuple[Path, ...], whole: Path) -> None:
    """To who may ask."""
    part = part_of(folders[1])
    assert part is not None
    guard = make_app(opened(folders[1]), Settings(workers=1, token=TOKEN), Gauges())
    with TestClient(guard, "http://127.0.0.1:8000", headers={"authorization": f"Bearer {TOKEN}"}) as client:
        answer = client.get("/v1/index")
        told = headers_of(part, 1)
        assert (answer.json()["part"], answer.headers[HEADER]) == (asdict(part), told[HEADER])
        for path in ("/v1/index", "/v1/items/99999"):
            assert told.items() <= dict(client.get(path).headers).items()
        assert not {*told} & {*client.get("/health").headers}
        assert not {*told} & {*client.get("/v1/index", headers={"authorization": "Bearer none"}).headers}
    with TestClient(make_app(opened(whole), Settings(workers=1), Gauges()), "http://127.0.0.1:8000") as client:
        assert (client.get("/v1/index").json()["part"], HEADER in client.get("/v1/index").headers) == (None, False)


def test_a_shard_that_does_not_go_with_the_others_is_named(
    folders: tuple[Path, ...], urls: list[str], fake: Fake
) -> None:
    """One of another cut, or that another one is, in the place of one that was down."""
    first, last = part_of(folders[0]), part_of(folders[-1])
    assert first is not None
    assert last is not None
    fake.status = 503
    with routed([*urls[:-1], fake.url]) as client:
        assert found(client, id=0)["shards"][-1]["reason"] == "it answers 503: no reason is told"
        fake.status = 200
        for part, text in ((replace(last, cut="f" * 64), "name the shards of one cut"), (first, f"so is {urls[0]}")):
            fake.headers = headers_of(part, 1)
            for answer in (found(client, id=0, k=5), client.get("/v1/items").json(), client.get("/v1/index").json()):
                state = answer["shards"][-1]
                assert (answer["partial"], state["state"], text in state["reason"]) == (True, "down", True)


def test_a_part_without_an_address_is_named(urls: list[str]) -> None:
    """Nothing is answered without it, as nobody would know."""
    with routed(urls[:-1]) as client:
        client.get("/v1/index")
        for path in ("/v1/search?id=0", "/v1/items", "/v1/items/0", "/v1/index"):
            answer = client.get(path)
            assert (answer.status_code, "none is of shard 3; name each" in answer.json()["detail"]) == (503, True)


def test_no_shard_answers() -> None:
    with routed(["http://127.0.0.1:9", "http://127.0.0.1:10"]) as client:
        response = client.get("/v1/search", params={"id": 1})
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert (
            "none of 2 shards answers: shard 0, http://127.0.0.1:9: nobody listens there" in response.json()["detail"]
        )
        assert client.get("/health").status_code == 200


def test_a_shard_that_changes_meanwhile_is_asked_again(
    folders: tuple[Path, ...], whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = split(whole, tmp_path / "shards", shards=2)
    pool: Callable[..., Any] = Router._pool
    removed: list[int] = []

    def changed(own: Router, *given: Any) -> Any:
        told = pool(own, *given)
        if not removed:
            removed.extend(remove(copies[0], where="label = 'label 0'"))
        return told

    monkeypatch.setattr(Router, "_pool", changed)
    with ExitStack() as stack:
        client = stack.enter_context(routed([stack.enter_context(served(folder)) for folder in copies]))
        answer = found(client, id=1, k=1000)
        assert removed
        for _ in range(200):
            again = found(client, id=1, k=1000)
            if again["version"] == 3:
                break
            time.sleep(0.05)
        if answer["version"] == 3:  # it has heard of the new version in time
            assert answer["hits"] == again["hits"]
        assert [state["version"] for state in again["shards"]] == [2, 1]
        assert not {hit["id"] for hit in again["hits"]} & set(removed)


def test_indexes_that_were_not_cut_must_have_other_items(whole: Path) -> None:
    with served(whole) as first, served(whole) as second, routed([first, second]) as client:
        for path in ("/v1/search?id=0", "/v1/items/0", "/v1/items"):
            response = client.get(path)
            assert (response.status_code, "the same items" in response.json()["detail"]) == (409, True)


def test_a_shard_of_another_encoder_is_named(folders: tuple[Path, ...], urls: list[str], tmp_path: Path) -> None:
    body = {"encoder_id": "another", "embedding": "", "features": "", "pool": 3}
    guard = make_app(opened(folders[0]), Settings(workers=1), Gauges())
    with TestClient(guard, "http://127.0.0.1:8000") as client:
        response = client.post("/v1/shard/candidates", content=msgspec.json.encode(body))
        assert (response.status_code, "the query is of encoder another" in response.json()["detail"]) == (409, True)
        encoder_id = client.get("/v1/index").json()["encoder_id"]
        body = {"encoder_id": encoder_id, "embedding": "AAAA", "features": "", "pool": 3}
        response = client.post("/v1/shard/candidates", content=msgspec.json.encode(body))
        assert (response.status_code, "embedding must hold" in response.json()["detail"]) == (400, True)


def test_shards_with_a_token(whole: Path, tmp_path: Path) -> None:
    (folder,) = split(whole, tmp_path / "shards", shards=1)
    with served(folder, token=TOKEN) as url:
        with routed([url], TOKEN) as client:
            assert found(client, id=0)["partial"] is False
        with routed([url]) as client:
            response = client.get("/v1/search", params={"id": 0})
            assert (response.status_code, "wants its token" in response.json()["detail"]) == (503, True)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"[" * 10**5), (301, b""), (404, b""), (500, b"no json"), (503, b"{}")]
)
@pytest.mark.parametrize("is_told", [True, False])
def test_what_is_no_shard_is_named_and_the_others_answer(
    folders: tuple[Path, ...], urls: list[str], fake: Fake, status: int, body: bytes, is_told: bool
) -> None:
    """Also where it says that it is one."""
    fake.status, fake.body, fake.headers = status, body, headers_of(part_of(folders[-1]), 1) if is_told else {}
    with routed([*urls[:-1], fake.url]) as client:
        client.get("/v1/items")  # so that it is known which shard has the item
        answer = found(client, id=0, k=5)
        state = answer["shards"][-1]
        assert (answer["partial"], len(answer["hits"]), state["state"]) == (True, 5, "down")
        assert state["reason"]


def test_candidates_that_make_no_sense(folders: tuple[Path, ...], urls: list[str], fake: Fake) -> None:
    told = {"version": 1, "ids": "AAAAAAAAAAA=", "distances": "", "images": "", "rows": 1, "of_images": 0}
    fake.body = msgspec.json.encode(told | {"engine": "hamming", "is_exact": True, "has_objects": False})
    fake.headers = headers_of(part_of(folders[-1]), 1)
    with routed([*urls[:-1], fake.url]) as client:
        assert "make no sense" in found(client, id=0)["shards"][-1]["reason"]


def test_without_a_shard_a_router_is_not_ready(urls: list[str]) -> None:
    with routed(["http://127.0.0.1:9"]) as client:
        assert (client.get("/ready").status_code, client.get("/health").status_code) == (503, 200)
    with routed([urls[0], "http://127.0.0.1:9"]) as client:
        assert client.get("/ready").status_code == 200


def test_objects_of_a_shard_that_is_down_are_not_said_to_be_none(indexed: Path, tmp_path: Path) -> None:
    known = open_index(indexed).version
    with Writer(tmp_path / "plain", Header.of(indexed, known.manifest)) as writer:
        writer.add([Row("one.png")], known.codes(np.array([0])), known.read_features(np.array([0])))
        writer.commit(beside={ENCODER: (indexed / ENCODER).read_bytes()})
    with served(tmp_path / "plain") as url:
        with routed([url, "http://127.0.0.1:9"]) as client:
            client.get("/v1/items")
            answer = found(client, id=0, among="objects")
            assert (answer["partial"], answer["hits"]) == (True, [])
        with routed([url]) as client:
            assert client.get("/v1/search", params={"id": 0, "among": "objects"}).status_code == 409
