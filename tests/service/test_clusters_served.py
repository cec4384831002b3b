"""Clusters over HTTP: those of the folder, in order, without what the index no longer has."""

import csv
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dqh.collection import index_images
from dqh.errors import ArtifactError, ConfigError
from dqh.index.store import open_index, remove
from dqh.sealed import seal, unseal
from dqh.service.clusters import read_clusters
from tests.collection.seer import photos
from tests.service.conftest import Serve, until

pytestmark = pytest.mark.slow


@pytest.fixture
def clusters(indexed: Path, dqh: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Path:
    """The four photos in two clusters."""
    how = ("-k", 2, "--method", "kmeans")
    assert dqh("cluster", indexed, *how, "--out", tmp_path / "clusters")[0] == 0
    return tmp_path / "clusters"


def test_they_are_those_of_the_folder(indexed: Path, clusters: Path, serve: Serve) -> None:
    client = serve(indexed, parts={"clusters": clusters})
    with (clusters / "members.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    sizes = Counter(int(line["cluster"]) for line in lines)
    answer = client.get("/v1/clusters").json()
    assert "clusters" in client.get("/v1/index").json()["can"]
    assert (answer["total"], answer["next"]) == (len(sizes), None)
    assert [own["members"] for own in answer["clusters"]] == sorted(sizes.values(), reverse=True)
    for own in answer["clusters"]:
        wanted = sorted(
            (float(line["distance"]), int(line["id"])) for line in lines if int(line["cluster"]) == own["number"]
        )
        members = client.get(f"/v1/clusters/{own['number']}?sizes=true").json()
        assert [item["id"] for item in members["items"]] == [number for _, number in wanted]
        assert [item["id"] for item in own["items"]] == [number for _, number in wanted]
        assert members["items"][0]["size"] == [48, 40]
        assert own["purity"] is None or 0 < own["purity"] <= 1


def test_pages_of_them(indexed: Path, clusters: Path, serve: Serve) -> None:
    client = serve(indexed, parts={"clusters": clusters})
    first, second = (client.get(f"/v1/clusters?most=1&after={after}").json() for after in (0, 1))
    assert (first["next"], second["next"]) == (1, None)
    assert first["clusters"][0]["number"] != second["clusters"][0]["number"]
    number, size = first["clusters"][0]["number"], first["clusters"][0]["members"]
    pages = [client.get(f"/v1/clusters/{number}?most=1&after={after}").json() for after in range(size)]
    assert len({page["items"][0]["id"] for page in pages}) == size
    assert [page["next"] for page in pages] == [*range(1, size), None]


def test_what_is_removed_is_left_out(
    artifact: Path, dqh: Callable[..., tuple[int, str, str]], serve: Serve, tmp_path: Path
) -> None:
    index = tmp_path / "index"
    index_images(artifact, [photos(tmp_path / "photos")], index, device="cpu")
    assert dqh("cluster", index, "-k", 1, "--method", "kmeans", "--out", tmp_path / "clusters")[0] == 0
    remove(index, where="id = 1")
    client = serve(index, parts={"clusters": tmp_path / "clusters", "detector": None})
    assert sorted(item["id"] for item in client.get("/v1/clusters/0").json()["items"]) == [0, 2, 3]
    listed = client.get("/v1/clusters").json()["clusters"][0]
    assert (listed["members"], len(listed["items"])) == (3, 3)
    pages = [client.get(f"/v1/clusters/0?most=2&after={after}").json() for after in (0, 2)]
    assert [(len(page["items"]), page["next"]) for page in pages] == [(2, 2), (1, None)]


def test_a_cluster_of_which_all_is_removed(
    artifact: Path, dqh: Callable[..., tuple[int, str, str]], serve: Serve, tmp_path: Path
) -> None:
    """It is listed no more, while the service runs; its number has no items, and the others keep theirs."""
    index = tmp_path / "index"
    index_images(artifact, [photos(tmp_path / "photos")], index, device="cpu")
    how = ("-k", 2, "--method", "kmeans", "--out", tmp_path / "clusters")
    assert dqh("cluster", index, *how)[0] == 0
    client = serve(index, parts={"clusters": tmp_path / "clusters", "detector": None})
    first, second = client.get("/v1/clusters").json()["clusters"]
    remove(index, where=f"id in ({', '.join(str(item['id']) for item in first['items'])})")
    assert until(lambda: client.get("/v1/clusters").json()["total"] == 1)
    assert client.get("/v1/clusters").json()["clusters"] == [second]
    gone = client.get(f"/v1/clusters/{first['number']}").json()
    assert (gone["items"], gone["next"], gone["cluster"]["members"]) == ([], None, 0)


def test_a_service_without_clusters(indexed: Path, serve: Serve) -> None:
    client = serve(indexed)
    assert "clusters" not in client.get("/v1/index").json()["can"]
    for path in ("/v1/clusters", "/v1/clusters/0"):
        answer = client.get(path)
        assert (answer.status_code, "dqh cluster INDEX" in answer.json()["detail"]) == (409, True)


@pytest.mark.parametrize("number", ["2", "99999999", "x", "-1"])
def test_a_cluster_that_is_not_there(indexed: Path, clusters: Path, serve: Serve, number: str) -> None:
    assert serve(indexed, parts={"clusters": clusters}).get(f"/v1/clusters/{number}").status_code == 404


def test_folders_that_do_not_fit(artifact: Path, indexed: Path, clusters: Path, tmp_path: Path) -> None:
    version = open_index(indexed).version
    moved = tmp_path / "others"
    index_images(artifact, [photos(moved / "photos")], moved / "index", device="cpu")
    with pytest.raises(ConfigError, match="are not of the images of"):
        read_clusters(clusters, open_index(moved / "index").version, index=moved / "index")
    with (clusters / "members.csv").open("a") as file:
        file.write("9,x,0,1,\n")
    with pytest.raises(ArtifactError, match=r"members\.csv"):
        read_clusters(clusters, version, index=indexed)
    shutil.rmtree(clusters)
    with pytest.raises(ArtifactError, match=rf"no clusters at {clusters}: .* made by dqh cluster INDEX -k N --out DIR"):
        read_clusters(clusters, version, index=indexed)


def test_clusters_of_a_file_or_not_finished(
    indexed: Path, dqh: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    version = open_index(indexed).version
    np.save(tmp_path / "points.npy", np.random.default_rng(0).random((9, 4), np.float32))
    assert dqh("cluster", tmp_path / "points.npy", "-k", 2, "--out", tmp_path / "of_file")[0] == 0
    with pytest.raises(ConfigError, match=rf"are of points\.npy, not of the images of .*cluster {indexed} -k N --out"):
        read_clusters(tmp_path / "of_file", version, index=indexed)
    manifest = tmp_path / "of_file" / "clusters.json"
    manifest.write_bytes(seal(unseal(manifest.read_bytes()) | {"result": None}))
    with pytest.raises(ConfigError, match="are not finished; the command that began them goes on"):
        read_clusters(tmp_path / "of_file", version, index=indexed)
