"""Distances between images of an index, against loops over its rows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh.discovery.related.looks import Looks, images_of
from dqh.discovery.understanding import Dominance
from dqh.index.store import Header, Row, Writer, open_index
from dqh.quantizers import ProductQuantizer, Threshold

ROWS = [
    Row("b.jpg", ("x", "y"), (0, 0, 60, 60), object="dog", score=0.9),
    Row("a.jpg", ("x",)),
    Row("b.jpg", ("x", "y")),
    Row("c.jpg", (), (1, 1, 2, 2)),
    Row("a.jpg", ("x",), (0, 0, 40, 50), object="cat", score=0.9),
    Row("a.jpg", ("x",), (50, 50, 60, 60), object="dog", score=0.8),
]


@pytest.fixture
def features() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (len(ROWS), 5)).astype(np.float16).astype(np.float32)


@pytest.fixture
def looks(tmp_path: Path, features: np.ndarray) -> Looks:
    quantizer = Threshold(5, threshold=0.0)
    header = Header("e", quantizer, 5, root=str(tmp_path), detector_id="5ee2" * 16)
    with Writer(tmp_path / "index", header) as writer:
        writer.add(ROWS, quantizer.encode(features), features)
        writer.commit()
    return Looks(open_index(tmp_path / "index").version)


def test_images(looks: Looks) -> None:
    """The row of an image is that of the whole, or its first part where it has none."""
    images = looks.images
    assert [(path, int(images.rows[number])) for path, number in sorted(images.numbers.items())] == [
        ("a.jpg", 1),
        ("b.jpg", 2),
        ("c.jpg", 3),
    ]
    parts = {path: images.parts(number).tolist() for path, number in images.numbers.items()}
    assert parts == {"a.jpg": [4, 5], "b.jpg": [0], "c.jpg": [3]}


def test_distances(looks: Looks, features: np.ndarray) -> None:
    number = looks.images.numbers
    others = np.array([number["b.jpg"], number["c.jpg"]])
    seen = looks.distances(number["a.jpg"], others)

    def l2(one: int, other: int) -> float:
        return float(np.linalg.norm(features[one].astype(float) - features[other]))

    bits = features > 0
    assert seen[:, 0].tolist() == [(bits[1] != bits[2]).sum(), (bits[1] != bits[3]).sum()]
    assert seen[:, 1].tolist() == pytest.approx([l2(1, 2), l2(1, 3)])
    assert seen[:, 2].tolist() == pytest.approx([min(l2(4, 0), l2(5, 0)), min(l2(4, 3), l2(5, 3))])
    assert seen[:, 3].tolist() == pytest.approx([l2(4, 0), l2(4, 3)])  # the cat is what the photo is about


def test_without_a_dominant_object_nothing_is_said_of_it(looks: Looks) -> None:
    looks = Looks(looks.version, dominance=Dominance(score=0.95))
    number = looks.images.numbers
    assert looks.dominant(number["a.jpg"]) is None
    assert looks.distances(number["a.jpg"], np.array([number["b.jpg"]]))[0, 3] == 0
    assert looks.dominant(number["c.jpg"]) is None


def test_the_size_of_the_photo_decides_where_it_can_be_read(looks: Looks, tmp_path: Path) -> None:
    """A dog of 60 × 60 pixels fills what its box spans, and is 4 % of a photo of 300 × 300."""
    number = looks.images.numbers["b.jpg"]
    assert looks.dominant(number) == 0
    Image.new("RGB", (300, 300)).save(tmp_path / "b.jpg")
    assert Looks(looks.version).dominant(number) is None


def test_categories(looks: Looks) -> None:
    """a: x, with cat and dog; b: x and y, with dog; c: nothing."""
    number = looks.images.numbers
    others = np.array([number["b.jpg"], number["c.jpg"]])
    assert looks.categories(number["a.jpg"], others).tolist() == [[0.5, 0.5], [0, 0]]
    assert looks.categories(number["c.jpg"], np.array([number["c.jpg"]])).tolist() == [[0, 0]]


def test_codes_of_a_product_quantizer(tmp_path: Path, features: np.ndarray) -> None:
    """Codes are as far apart as what they stand for."""
    sample = np.random.default_rng(1).normal(0, 1, (64, 4)).astype(np.float32)
    quantizer = ProductQuantizer(2, 4).fit(sample)
    codes = quantizer.encode(sample[: len(ROWS)])
    with Writer(tmp_path / "pq", Header("e", quantizer, 5, detector_id="5ee2" * 16)) as writer:
        writer.add(ROWS, codes, features)
        writer.commit()
    looks = Looks(open_index(tmp_path / "pq").version)
    number = looks.images.numbers
    seen = looks.distances(number["a.jpg"], np.array([number["b.jpg"]]))
    decoded = quantizer.decode(codes)
    assert seen[0, 0] == pytest.approx(float(np.linalg.norm(decoded[1] - decoded[2])), rel=1e-5)


def test_an_empty_index(tmp_path: Path) -> None:
    with Writer(tmp_path / "empty", Header("e", Threshold(5), 5)) as writer:
        writer.commit()
    assert images_of(open_index(tmp_path / "empty").version).paths == ()
