"""The attacks of the benchmark, on a service of small limits: what is asked for is refused, and nothing comes back."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dqh.collection import index_images
from tests.collection.conftest import artifact
from tests.collection.seer import photo, photos
from tests.service.running import Running, running

__all__ = ["artifact"]

pytestmark = pytest.mark.slow
SECRET = b"what nobody may get"


ABSENT = ("/v1/related", "/v1/clusters")
"""What the service here does not have, and says so before it looks further; the benchmark has all."""


@pytest.fixture(scope="module")
def service(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path_factory.mktemp("attacked")
    index_images(artifact, [photos(folder / "photos")], folder / "index", device="cpu")
    (folder / "secret.txt").write_bytes(SECRET)
    limits = ("--device", "cpu", "--workers", "1", "--body-seconds", "0.5")
    with running(folder / "index", *limits, messages=folder / "messages") as own:
        yield own, folder


@pytest.mark.parametrize("kind", ["traversals", "images", "bodies", "heads"])
def test_each_is_refused(service: tuple[Running, Path], benchmark_module: Callable, kind: str, tmp_path: Path) -> None:
    own, folder = service
    hostile = benchmark_module("hostile_requests")
    arguments = {"traversals": (folder,), "images": (photo(tmp_path / "good.png", 5).read_bytes(),)}.get(kind, ())
    attacks = [attack for attack in getattr(hostile, kind)(*arguments) if attack.kind != "slow"]
    assert len(attacks) > {"traversals": 400, "images": 20, "bodies": 6, "heads": 40}[kind]
    for attack in attacks:
        status, content = own.answer(*attack.parts)
        absent = (409,) * any(path in attack.name for path in ABSENT)
        assert status in (*attack.statuses, *absent), attack.name[:200]
        assert SECRET not in content, attack.name[:200]
        assert b"root:" not in content, attack.name[:200]
    assert "Traceback" not in (folder / "messages").read_text()
