"""Golden inputs: a few images kept inside an artifact with the codes and features that they must give.

Whatever answers for the artifact — this package, ONNX Runtime, an exported program — is compared with them by one rule:
bits that are soft may differ, see `Quantizer.soft`.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dqh.artifact.answers import Answers
from dqh.artifact.artifact import Artifact
from dqh.artifact.lengths import of_length
from dqh.artifact.manifest import MANIFEST, Listing, listing_of, read_listed, read_manifest
from dqh.artifact.reading import parse_npy
from dqh.codes import require_codes, unpack
from dqh.data.images import to_array
from dqh.data.pixels import decode
from dqh.errors import ArtifactError, BadImageError
from dqh.inputs import InputSpec
from dqh.models import Encoder
from dqh.quantizers import Quantizer

FEATURE_TOLERANCE = 1e-3
"""Largest difference of features between machines, relative to the largest feature: float32 in another order of sums
differs by about 1e-6; a wrong colour order or resize differs by 1e-1."""

BATCH_BYTES, BATCH_INPUTS = 2**22, 64
"""Golden inputs are run this many bytes, and this many, at a time."""


class Golden(NamedTuple):
    """Inputs, (N, 3, S, S) uint8, the last out of the JPEG, or (N, F) float32, and the answers that they must get."""

    inputs: NDArray[np.uint8] | NDArray[np.float32]
    codes: NDArray[np.uint8]
    features: NDArray[np.float32]


class Verdict(NamedTuple):
    """How answers to the golden inputs compare with the kept ones.

    Attributes:
        inputs: number of golden inputs.
        flips: bits that differ although they are not soft.
        soft: soft bits that differ.
        feature_error: largest absolute difference of a feature, relative to the largest kept feature.
    """

    inputs: int
    flips: int
    soft: int
    feature_error: float

    @property
    def holds(self) -> bool:
        """No bit flipped, and the features are the kept ones to `FEATURE_TOLERANCE`."""
        return self.flips == 0 and self.feature_error <= FEATURE_TOLERANCE


def golden_files(artifact: Artifact, inputs: NDArray[np.uint8] | NDArray[np.float32]) -> dict[str, bytes]:
    """File name → content of the golden folder.

    Args:
        artifact: the encoder and quantizer to ask.
        inputs: (N, 3, S, S) uint8 raw images or (N, F) float32 vectors, at least one. The first image is also kept as
            an encoded JPEG of S × S pixels, which goes through decoding and resizing like any other file.

    Returns:
        `inputs.npy`, `codes.npy`, `features.npy`, for images `image.jpg`, whose answer is the last row, and for each
        further length `codes_BITS.npy`.
    """
    files = {"inputs.npy": _npy(inputs)}
    if artifact.encoder.spec.kind == "image":
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(inputs[0].transpose(1, 2, 0))).save(buffer, format="JPEG", quality=90)
        files["image.jpg"] = buffer.getvalue()
        inputs = np.concatenate([inputs, _decoded(files["image.jpg"], artifact.encoder.spec)])
    codes, _, features = in_batches(partial(eager, artifact.encoder, artifact.quantizer), inputs)
    for bits in artifact.lengths:
        other = artifact.of_length(bits)
        own, *_ = in_batches(partial(eager, other.encoder, other.quantizer), inputs)
        files[codes_file(bits)] = _npy(own)
    return files | {"codes.npy": _npy(codes), "features.npy": _npy(features)}


def codes_file(bits: int | None) -> str:
    """The name of the file of golden codes of a further length, or None for the main one."""
    return "codes.npy" if bits is None else f"codes_{bits}.npy"


def read_golden(
    path: Path, manifest: Mapping[str, Any], files: Listing, name: str = MANIFEST, *, further: bool = False
) -> Golden:
    """The golden inputs and answers of a folder.

    Args:
        path: of an artifact or of exported forms.
        manifest: of the folder, or of one length of an artifact.
        files: that it lists.
        name: of the manifest.
        further: whether the length is not the main one.

    Raises:
        ArtifactError: a file is not listed, damaged, or does not fit the manifest.
    """

    def array(file: str, dtype: type[np.generic]) -> NDArray[Any]:
        return parse_npy(read_listed(path, files, f"golden/{file}", name), str(path / "golden" / file), dtypes=[dtype])

    try:
        spec, bits = InputSpec.from_json(manifest["input"]), int(manifest["bits"])
        features = int(manifest["feature"]["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path / name} does not describe an artifact: {error!r}; export it again") from error
    codes = codes_file(bits if further else None)
    shape = (3, spec.size, spec.size) if spec.kind == "image" else (spec.size,)
    inputs = array("inputs.npy", np.uint8 if spec.kind == "image" else np.float32)
    golden = Golden(inputs, array(codes, np.uint8), array("features.npy", np.float32))
    if inputs.shape[1:] != shape or not len(inputs):
        raise ArtifactError(f"{path / 'golden'} holds inputs of shape {inputs.shape}, wanted (N, {shape}), N ≥ 1")
    for file, values in (("inputs.npy", inputs), ("features.npy", golden.features)):
        if not np.isfinite(values).all():
            raise ArtifactError(
                f"{path / 'golden' / file} holds numbers that are not finite; export the artifact again"
            )
    if spec.kind == "image":
        try:
            last = _decoded(read_listed(path, files, "golden/image.jpg", name), spec)
        except BadImageError as error:
            raise ArtifactError(f"{path / 'golden' / 'image.jpg'} {error}; copy it again") from error
        golden = golden._replace(inputs=np.concatenate([inputs, last]))
    try:
        require_codes(golden.codes, bits)
    except ValueError as error:
        raise ArtifactError(f"{path / 'golden' / codes}: {error}; copy it again") from error
    if len(golden.codes) != len(golden.inputs) or golden.features.shape != (len(golden.inputs), features):
        raise ArtifactError(
            f"{path / 'golden'} holds {len(golden.inputs)} inputs, {len(golden.codes)} codes and features of shape "
            f"{golden.features.shape}; export the artifact again"
        )
    return golden


def verify_golden(artifact: Artifact, path: Path) -> Verdict:
    """Encode the golden inputs of the artifact folder `path` again and compare.

    Raises:
        ArtifactError: the folder's manifest or golden inputs are missing or damaged, or it has no codes of this length.
    """
    manifest, bits = read_manifest(path), artifact.quantizer.bits
    own = of_length(path, manifest, bits)
    golden = read_golden(path, own, listing_of(path, manifest), further=bits != manifest["bits"])
    answers = in_batches(partial(eager, artifact.encoder, artifact.quantizer), golden.inputs)
    return compare(golden, answers, artifact.quantizer)


def compare(golden: Golden, answers: Answers, quantizer: Quantizer) -> Verdict:
    """How answers to golden inputs compare with the kept ones.

    Raises:
        ArtifactError: the answers have other shapes than the kept ones.
    """
    if answers.codes.shape != golden.codes.shape or answers.features.shape != golden.features.shape:
        raise ArtifactError(
            f"answers of shapes {answers.codes.shape} and {answers.features.shape}, wanted {golden.codes.shape} and "
            f"{golden.features.shape}; export the form again"
        )
    flips, soft = parity(golden.codes, answers, quantizer)
    scale = max(float(np.abs(golden.features).max()), 1e-30)
    error = float(np.abs(answers.features - golden.features).max()) / scale
    return Verdict(len(golden.inputs), flips, soft, error)


def parity(codes: NDArray[np.uint8], answers: Answers, quantizer: Quantizer) -> tuple[int, int]:
    """Bits that differ from the wanted codes (N, ⌈B / 8⌉): those that must not, and the soft ones, which may."""
    differs = unpack(codes, quantizer.bits) != unpack(answers.codes, quantizer.bits)
    rows = np.flatnonzero(differs.any(axis=1) & np.isfinite(answers.embedding).all(axis=1))
    embedding = answers.embedding[rows]
    soft = np.zeros_like(differs)
    soft[rows] = differs[rows] & quantizer.soft(embedding, codes[rows], answers.codes[rows])
    return int((differs & ~soft).sum()), int(soft.sum())


def in_batches(answer: Callable[[NDArray[Any]], Answers], inputs: NDArray[np.uint8] | NDArray[np.float32]) -> Answers:
    """What something says of inputs, `BATCH_BYTES` and `BATCH_INPUTS` of them at a time."""
    size = max(1, min(BATCH_INPUTS, BATCH_BYTES // max(1, inputs[0].nbytes)))
    parts = [answer(inputs[start : start + size]) for start in range(0, len(inputs), size)]
    return Answers(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def eager(encoder: Encoder, quantizer: Quantizer, inputs: NDArray[np.uint8] | NDArray[np.float32]) -> Answers:
    """What torch says of the inputs."""
    with torch.inference_mode():
        output = encoder(torch.from_numpy(np.array(inputs)))  # a copy: what was read may not be writable
    embedding = output.embedding.numpy()
    return Answers(quantizer.encode(embedding), embedding, output.features.numpy())


def _decoded(jpeg: bytes, spec: InputSpec) -> NDArray[np.uint8]:
    image = to_array(decode(jpeg), spec)
    offset, size = (spec.resize - spec.size) // 2, spec.size
    cropped: NDArray[np.uint8] = image[None, :, offset : offset + size, offset : offset + size]
    return cropped


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
