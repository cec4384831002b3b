"""Images become the codes that an index keeps of them."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dqh
from dqh.artifact import load_artifact
from dqh.data import Photos, Store
from dqh.encoding.encode import encode
from dqh.encoding.loaded_encoder import load_encoder
from dqh.errors import BadImageError, NoArtifactError
from tests.data.conftest import picture, png


def test_files_bytes_and_images_are_encoded_as_a_store_reads_them(artifact: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(png(number))
    loaded = load_artifact(artifact)
    store = Store(Photos([tmp_path]), loaded.encoder.spec)
    wanted = encode(loaded.encoder, loaded.quantizer, store=store, rows=np.arange(3), device="cpu")
    encoded = load_encoder(artifact, device="cpu").encode([tmp_path / "0.png", png(1), picture(2)])
    assert np.array_equal(encoded.codes, wanted.codes)
    assert np.array_equal(encoded.embedding, wanted.embedding)
    assert np.array_equal(encoded.features, wanted.features)
    assert encoded.encoder_id == loaded.encoder_id


def test_a_box_is_the_square_around_it_cut_out_of_the_upright_image(artifact: Path) -> None:
    turned = picture(0)
    turned.getexif()[0x0112] = 6  # to be shown turned by 90° to the right
    upright = turned.transpose(Image.Transpose.ROTATE_270)
    encoder = load_encoder(artifact, device="cpu")
    found = encoder.encode([turned], box=(2, 3, 18, 21)).embedding
    assert np.array_equal(found, encoder.encode([upright.crop((1, 3, 19, 21))]).embedding)  # 18 × 18
    assert turned.size == (24, 20)
    with pytest.raises(BadImageError, match=r"image 0 cannot be used: the box 0,0,21,5 does not lie in its 20 × 24"):
        encoder.encode([turned], box=(0, 0, 21, 5))
    for box in ((0, 0, math.inf, 5), (math.nan, 0, 5, 5)):
        with pytest.raises(BadImageError, match="does not lie in its 20 × 24 pixels"):
            encoder.encode([turned], box=box)


def test_arrays_and_nothing(artifact: Path) -> None:
    encoder = load_encoder(artifact, device="cpu")
    raw = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16), dtype=np.uint8)
    with torch.inference_mode():
        wanted = load_artifact(artifact).encoder(torch.from_numpy(raw)).embedding.numpy()
    assert np.allclose(encoder.encode(raw).embedding, wanted, atol=1e-6)  # batches may differ in last digits
    assert [len(field) for field in encoder.encode([])[:3]] == [0, 0, 0]


def test_what_cannot_be_encoded(artifact: Path, tmp_path: Path) -> None:
    encoder = load_encoder(artifact, device="cpu")
    with pytest.raises(BadImageError, match=r"'.*none.jpg' cannot be used: cannot be read"):
        encoder.encode([tmp_path / "none.jpg"])
    with pytest.raises(BadImageError, match=r"image 1 cannot be used: not an image"):
        encoder.encode([png(0), b"text"])
    with pytest.raises(TypeError, match="put it in a list"):
        encoder.encode("a.jpg")
    with pytest.raises(ValueError, match="box is for images"):
        encoder.encode(np.zeros((1, 3, 16, 16), np.uint8), box=(0, 0, 1, 1))
    with pytest.raises(NoArtifactError):
        dqh.load_encoder(tmp_path / "none")
