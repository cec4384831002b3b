"""All taps of a network in one pass, and colour histograms."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dqh.data import Digits, Store
from dqh.encoding import encoded_rows
from dqh.errors import ConfigError, DataError
from dqh.evaluation.study.networks import NETWORKS, ColourHistogram, Network, extract, taps_of
from dqh.inputs import InputSpec
from dqh.models import BACKBONES, Encoder, HashHead

CPU = torch.device("cpu")
IMAGES = sorted(set(NETWORKS) - {"identity", "timm", "resnet101", "resnet152"})  # the last two: as resnet50, but slow


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("resnet18", 32), ("mobilenet_v2", 32), ("small_resnet", 16)])
def test_every_tap_equals_the_backbone_cut_there(name: str, size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    kind = BACKBONES[name]
    whole = kind(tap=kind.taps[-1], size=size)
    file = tmp_path / "weights.pt"
    torch.save({key.removeprefix("body."): value for key, value in whole.state_dict().items()}, file)
    images = torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8)
    network = Network(name, taps=kind.taps, options={"size": size, "weights": str(file)})
    assert network.origin == "weights.pt"
    with torch.inference_mode():
        found = network(images)
        assert list(found) == list(kind.taps)
        for tap in kind.taps:
            backbone = kind(tap=tap, size=size, weights=str(file))
            wanted = Encoder(backbone, HashHead(backbone.dimension, 8)).eval()(images).features
            # the same operations, whose order a convolution may choose anew
            assert torch.allclose(found[tap], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_every_network_gives_all_its_taps(name: str) -> None:
    with torch.device("meta"):
        network = Network(name, taps=taps_of(name), options={"size": 96})
        found = network(torch.empty(2, 3, 96, 96)) if name != "colour_histogram" else {"rgb512": torch.empty(2, 512)}
        assert list(found) == list(NETWORKS[name].taps)
        for tap, features in found.items():
            options = {"tap": tap} if name != "colour_histogram" else {}
            assert features.shape == (2, NETWORKS[name](size=96, **options).dimension)


def test_taps_may_be_chosen_and_come_in_the_order_of_the_network() -> None:
    with torch.device("meta"):
        network = Network("alexnet", taps=["fc7", "pool5"], options={})
    assert network.taps == ("pool5", "fc7")
    assert not [name for name in network.state_dict() if name.endswith("classifier.6.weight")]  # behind fc7


def test_random_weights_are_shared_by_the_taps() -> None:
    network = Network("small_resnet", taps=("stage1", "pool"), options={"size": 8})
    stems = [cut.state_dict()["stem.0.weight"] for cut in network.cuts]
    assert torch.equal(*stems)
    assert network.origin == "random"


def test_a_histogram_counts_colours() -> None:
    """Of four pixels two are black (bin 0), one white (bin 511), one (0, 32, 31): green 1, blue 0, bin 8."""
    pixels = torch.tensor([[0, 0, 0], [0, 0, 0], [255, 255, 255], [0, 32, 31]], dtype=torch.uint8)
    image = pixels.T.reshape(1, 3, 2, 2)
    network = Network("colour_histogram", taps=("rgb512",), options={"size": 2})
    both = network(torch.cat([torch.zeros_like(image), image]))["rgb512"]
    assert both[0].nonzero().tolist() == [[0]]
    assert both[1].nonzero().flatten().tolist() == [0, 8, 511]
    assert both[1][[0, 8, 511]].tolist() == [0.5, 0.25, 0.25]
    assert network.origin == "none"


def test_every_level_of_a_channel_has_its_bin() -> None:
    """Level v of red falls into bin 64 · ⌊v / 32⌋, also after the division by 255 and back."""
    levels = torch.arange(256, dtype=torch.uint8).view(256, 1, 1, 1)
    images = torch.cat([levels, torch.zeros_like(levels), torch.zeros_like(levels)], dim=1)
    found = Network("colour_histogram", taps=("rgb512",), options={"size": 1})(images)["rgb512"]
    assert found.argmax(1).tolist() == [64 * (level // 32) for level in range(256)]


@pytest.mark.parametrize("tap", ["pool", "fc"])
def test_a_network_of_timm(tap: str) -> None:
    pytest.importorskip("timm", reason="an optional extra")
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    network = Network("timm/resnet10t", taps=[tap], options={"size": 32})
    assert network(images)[tap].shape == (2, {"pool": 512, "fc": 1000}[tap])


def test_vectors_pass_as_they_are() -> None:
    vectors = torch.randn(2, 5)
    assert torch.equal(Network("identity", taps=("input",), options={"size": 5})(vectors)["input"], vectors)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("small_resnet", {"resize": 40}, "small_resnet takes no resize, got 40"),
        ("colour_histogram", {"weights": "a.pt"}, "colour_histogram takes no weights, got 'a.pt'"),
        ("alexnet", {"weights": "nowhere.pt"}, "no file at"),
        ("alexnet", {"size": 8}, "size 8 is too small"),
        ("timm", {}, "write timm/MODEL"),
        ("resnet18/deep", {}, "resnet18 takes no model, got 'deep'"),
    ],
)
def test_what_a_network_does_not_take(name: str, options: dict, message: str) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match=message):
        Network(name, taps=taps_of(name), options=options)


def test_download_is_leave_and_no_wish() -> None:
    assert Network("colour_histogram", taps=("rgb512",), options={"download": True}).spec.size == 224


def test_features_of_rows_in_order_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    network, rows = Network("colour_histogram", taps=("rgb512",), options={"size": 8}), np.array([5, 3, 1000, 7, 42])
    store = Store(Digits(), network.spec)
    found = extract(network, store, rows, device=CPU, batch_size=2)
    assert found.rows.tolist() == rows.tolist()
    assert len(found.batch_ms) == 3
    assert np.array_equal(found.features["rgb512"], network(torch.from_numpy(Digits().read_many(rows)))["rgb512"])
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", 0)
    filed = extract(network, store, rows, device=CPU, batch_size=5)
    assert isinstance(filed.features["rgb512"].base, np.memmap)
    assert np.array_equal(filed.features["rgb512"], found.features["rgb512"])


def test_features_must_be_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network("colour_histogram", taps=("rgb512",), options={"size": 8})
    monkeypatch.setattr(ColourHistogram, "forward", lambda self, images: torch.full((len(images), 512), torch.nan))
    store = Store(Digits(), InputSpec(size=8, resize=8))
    with pytest.raises(DataError, match="colour_histogram gives features at rgb512 that are NaN"):
        extract(network, store, np.arange(3), device=CPU, batch_size=2)
