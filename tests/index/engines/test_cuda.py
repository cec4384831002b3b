import numpy as np
import pytest

from dqh.errors import ConfigError
from dqh.index import engines
from dqh.index.engines import ENGINES
from dqh.index.engines.engine import BuiltEngine
from dqh.index.ways import main_way, way_by_codes
from dqh.index.ways.aqd import AQD
from dqh.index.ways.hamming import Hamming
from dqh.quantizers import ProductQuantizer, Quantizer, Threshold

BINARY = Threshold(8, threshold=0.0)
PRODUCT = ProductQuantizer.from_codebooks(np.random.default_rng(0).random((2, 16, 4), np.float32))


def chosen(quantizer: Quantizer, rows: int, device: str | None, *, way: str | None = None) -> str:
    return engines.choose(quantizer, way_by_codes(quantizer, way), rows, device=device)


@pytest.mark.parametrize("name", [name for name, engine in ENGINES.items() if engine.device == "cuda"])
def test_without_a_device_another_engine_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    quantizer: Quantizer = BINARY if name == "hamming_cuda" else PRODUCT
    advice = f"engine {name} needs a CUDA device, and torch sees none here; {main_way(quantizer).engine} gives the same"
    with pytest.raises(ConfigError, match=advice):
        engines.build(name, quantizer, main_way(quantizer), np.zeros((3, 1), np.uint8))


def test_large_collections_are_searched_on_a_device_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what the exact engine on the host is for, up to what a device holds; the cosine has no other engine."""
    monkeypatch.setattr(Hamming, "most_rows", 100)
    monkeypatch.setattr(AQD, "most_rows", 10)
    for device, engine in (("cpu", "binary_ivf"), ("cuda", "hamming_cuda"), ("cuda:1", "hamming_cuda")):
        assert [chosen(BINARY, rows, device) for rows in (100, 101)] == ["hamming", engine]
    assert chosen(BINARY, 2_000_000_000, "cuda") == "binary_ivf"
    assert [chosen(PRODUCT, 11, device) for device in ("cpu", "cuda")] == ["ivfpq", "aqd_cuda"]
    assert [chosen(PRODUCT, 11, device, way="aqd_cosine") for device in ("cpu", "cuda")] == ["aqd", "aqd_cuda"]
    assert chosen(PRODUCT, 11, "cuda", way="sqd_l2") == "sqd"


def test_torch_is_asked_for_a_device_only_where_it_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: asked.append(True) or True)
    monkeypatch.setattr(Hamming, "most_rows", 100)
    assert chosen(BINARY, 100, None) == "hamming"
    assert asked == []
    assert chosen(BINARY, 101, None) == "hamming_cuda"
    assert asked == [True]


def test_every_engine_says_where_it_computes() -> None:
    assert issubclass(ENGINES["hamming_cuda"], BuiltEngine)
    assert {engine.device for engine in ENGINES.values()} == {"cpu", "cuda"}
    assert all(engine.exact for engine in ENGINES.values() if engine.device == "cuda")
