"""Golden inputs: a few images kept inside an artifact with the codes and features that they must give."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dqh.codes import unpack
from dqh.data.images import decode, to_array
from dqh.export.artifact import Artifact
from dqh.models import Encoder

SOFT_BIT = 1e-6
"""A bit that so small a change of the embedding can change may differ between machines."""


class Verdict(NamedTuple):
    """How an encoder's answers to the golden inputs compare with the kept ones.

    Attributes:
        inputs: number of golden inputs.
        flips: bits that differ although a change of the embedding by `SOFT_BIT` cannot change them.
        soft: bits that differ where it can.
        feature_error: largest absolute difference of a feature, relative to the largest kept feature.
    """

    inputs: int
    flips: int
    soft: int
    feature_error: float


def golden_files(artifact: Artifact, inputs: NDArray[np.uint8] | NDArray[np.float32]) -> dict[str, bytes]:
    """File name → content of the golden folder.

    Args:
        artifact: the encoder and quantizer to ask.
        inputs: (N, 3, S, S) uint8 raw images or (N, F) float32 vectors, at least one. The first image is also kept as
            an encoded JPEG of S × S pixels, which goes through decoding and resizing like any other file.

    Returns:
        `inputs.npy`, `codes.npy`, `features.npy`, and for images `image.jpg`, whose answer is the last row.
    """
    files = {"inputs.npy": _npy(inputs)}
    if artifact.encoder.spec.kind == "image":
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(inputs[0].transpose(1, 2, 0))).save(buffer, format="JPEG", quality=90)
        files["image.jpg"] = buffer.getvalue()
        inputs = np.concatenate([inputs, _decoded(artifact.encoder, files["image.jpg"])])
    embedding, features = _encode(artifact.encoder, inputs)
    return files | {"codes.npy": _npy(artifact.quantizer.encode(embedding)), "features.npy": _npy(features)}


def verify_golden(artifact: Artifact, path: Path) -> Verdict:
    """Encode the golden inputs of the artifact folder `path` again and compare."""
    inputs = np.load(path / "golden" / "inputs.npy", allow_pickle=False)
    if artifact.encoder.spec.kind == "image":
        inputs = np.concatenate([inputs, _decoded(artifact.encoder, (path / "golden" / "image.jpg").read_bytes())])
    embedding, features = _encode(artifact.encoder, inputs)
    bits = artifact.quantizer.bits
    kept = unpack(np.load(path / "golden" / "codes.npy", allow_pickle=False), bits)
    differs = kept != unpack(artifact.quantizer.encode(embedding), bits)
    soft = differs & artifact.quantizer.soft(embedding, tolerance=SOFT_BIT)
    wanted = np.load(path / "golden" / "features.npy", allow_pickle=False)
    scale = max(float(np.abs(wanted).max()), 1e-30)
    return Verdict(len(inputs), int((differs & ~soft).sum()), int(soft.sum()), _largest(features - wanted) / scale)


def _encode(
    encoder: Encoder, inputs: NDArray[np.uint8] | NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    with torch.inference_mode():
        output = encoder(torch.from_numpy(inputs))
    return output.embedding.numpy(), output.features.numpy()


def _decoded(encoder: Encoder, jpeg: bytes) -> NDArray[np.uint8]:
    image = to_array(decode(jpeg), encoder.spec)
    offset, size = (encoder.spec.resize - encoder.spec.size) // 2, encoder.spec.size
    cropped: NDArray[np.uint8] = image[None, :, offset : offset + size, offset : offset + size]
    return cropped


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _largest(values: NDArray[np.float32]) -> float:
    return float(np.abs(values).max())
