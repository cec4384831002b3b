"""An artifact as empty faiss indexes with all that is learned in place: fill them and search, with faiss alone.

Here is which indexes belong to which codes; how they are built is in `dqh.index.faiss_export`.

B bits, M subspaces, K codewords, F features, L lists.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dqh.artifact.artifact import Artifact
from dqh.codes import require_codes
from dqh.errors import ArtifactError, ConfigError
from dqh.index.faiss_export import empty_latent, serial
from dqh.index.ways import main_way, ways_by_codes
from dqh.models import HashHead

LISTS = 256
_SAMPLE = 64
"""Codes a list that are made up where none are given."""

_MAX_DIMENSION = 2**20
_KINDS = (b"IxPq", b"IwPQ", b"IxPT", b"IxRF", b"IBxF", b"IBwF")


class Lists(NamedTuple):
    """How the inverted lists come about.

    Attributes:
        number: L, at most; fewer where the sample has fewer different codes.
        sample: (N, ⌈B / 8⌉) uint8 codes of a collection, whose k-means centres the lists get; None for made-up codes
            (random bits, random codewords, or every class once), which fill lists less evenly.
    """

    number: int = LISTS
    sample: NDArray[np.uint8] | None = None


def faiss_files(artifact: Artifact, lists: Lists) -> dict[str, bytes]:
    """File name → content of the folder `faiss/`, a README included.

    Raises:
        ConfigError: the number of lists is below 1.
        ArtifactError: the sample holds no codes of this artifact.
    """
    quantizer = artifact.quantizer
    if lists.number < 1:
        raise ConfigError(f"lists must be at least 1, got {lists.number}")
    sample = (
        quantizer.sample(_SAMPLE * lists.number, np.random.default_rng(0)) if lists.sample is None else lists.sample
    )
    try:
        require_codes(sample, quantizer.bits)
    except ValueError as error:
        raise ArtifactError(f"codes for the lists: {error}; encode a collection with this artifact") from error
    if not len(sample):
        raise ArtifactError("codes for the lists: got none; give at least one code, or none at all")
    count = min(lists.number, len(np.unique(sample, axis=0)))
    files: dict[str, bytes] = {}
    for way in ways_by_codes(quantizer):
        indexes = way.empty_in_faiss(quantizer, sample, lists=count)
        files |= {f"{name}.faiss": serial(index) for name, index in indexes.items()}
    first = next(iter(files))
    layer = latent_layer(artifact)
    if layer is not None:
        files["latent.faiss"] = serial(empty_latent(*layer))
    placed = "made-up codes (random where bits or codewords are)" if lists.sample is None else f"{len(sample)} codes"
    return {f"faiss/{name}": content for name, content in files.items()} | {
        "faiss/README.md": _readme(artifact, sorted(files), first=first, lists=count, placed=placed).encode()
    }


def latent_layer(artifact: Artifact) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Weight (B, F) and bias (B,) of a layer whose bits W x + b ≥ 0 are those of the artifact; None where none are.

    The activation is inverted: sigmoid(v) > t where v > ln(t / (1 - t)), tanh(v) > t where v > artanh(t). An embedding
    of length 1 has the same signs, so that only a threshold of 0 is left to it. faiss sets the bit at equality, the
    artifact does not.
    """
    head, threshold = artifact.encoder.head, artifact.quantizer.threshold_of_bits()
    if threshold is None:
        return None
    bound = _before_activation(head, threshold)
    if bound is None or (head.normalise and threshold != 0) or head.hidden is not None:
        return None
    weight, bias = head.linear.weight.detach().numpy(), head.linear.bias.detach().numpy()
    return weight, (bias.astype(np.float64) - bound).astype(np.float32)


def require_empty(content: bytes, name: str) -> None:
    """Check that the header of a .faiss file names a kind of this module, no items and a sane dimension.

    Raises:
        ArtifactError: not an empty index of a kind that this module writes.
    """
    dimension = int.from_bytes(content[4:8], "little")
    # a binary index has its code size (int32) between dimension and number of items
    start = 12 if content[:2] == b"IB" else 8
    items = int.from_bytes(content[start : start + 8], "little")
    if content[:4] not in _KINDS or not 1 <= dimension <= _MAX_DIMENSION or items:
        raise ArtifactError(f"{name} is no empty faiss index of this package; export it again")


def _before_activation(head: HashHead, threshold: float) -> float | None:
    """What enters the activation where it gives the threshold; None where it never does."""
    if head.activation == "none":
        return threshold
    if head.activation == "sigmoid":
        return math.log(threshold / (1 - threshold)) if 0 < threshold < 1 else None
    return math.atanh(threshold) if -1 < threshold < 1 else None


_ABOUT = {
    "binary_flat.faiss": "IndexBinaryFlat: exact scan by Hamming distance. `add(codes)`, `search(codes, k)`.",
    "binary_ivf.faiss": "IndexBinaryIVF: inverted lists, {lists} of them, placed by {placed}. `add(codes)`, "
    "`search(codes, k)`; `nprobe` is all lists, so answers are exact; lower it for speed. It cannot filter by ids.",
    "pq_l2.faiss": "IndexPQ with the learned codebooks: exact scan by squared L2 of query embedding and decoded code. "
    "`add_sa_codes(codes)` or `add(embedding)`, `search(embedding, k)`.",
    "pq_ip.faiss": "the same by inner product, a similarity: larger is nearer.",
    "ivfpq_l2.faiss": "IndexIVFPQ, {lists} lists placed by {placed}: `add(embedding)`, `search(embedding, k)`; "
    "`nprobe` is all lists; lower it for speed: `faiss.extract_index_ivf(index).nprobe = 8`.",
    "ivfpq_ip.faiss": "the same by inner product.",
    "latent.faiss": "LinearTransform → LSH → RefineFlat, coarse to fine in one index: `add(features)`, "
    "`search(features, k)` takes `k_factor` · k candidates by the bits of the latent layer and ranks them by squared "
    "L2 of the features, which it keeps as float32. It cannot remove items.",
}


def _readme(artifact: Artifact, names: list[str], *, first: str, lists: int, placed: str) -> str:
    lines = [f"- `{name}`: {_ABOUT[name].format(lists=lists, placed=placed)}" for name in names]
    if "latent.faiss" not in names:
        lines.append("- no `latent.faiss`: the bits are no thresholds of a linear layer.")
    main = main_way(artifact.quantizer)
    of_vectors = main.asks == "embedding"
    reader = "read_index" if of_vectors else "read_index_binary"
    if of_vectors:
        words = {"l2": "squared L2", "ip": "inner product, which faiss gives as a similarity: larger is nearer"}
        lines.append(f"- the codes of this artifact are searched by {words[main.distance]}.")
    return f"""# Empty faiss indexes

Encoder {artifact.encoder_id}, {artifact.quantizer.bits} bits ({artifact.quantizer.kind}), low bits first.
Codes, embedding and features are what the encoder answers (`encoder.onnx`, `encoder.pt2`, or `dqh`).

{chr(10).join(lines)}

    import faiss
    index = faiss.{reader}("{first}")  # check the hash first: faiss accepts flipped bits
    index.{"add_sa_codes" if of_vectors else "add"}(codes)
    distances, ids = index.search({main.asks}, 10)

Lists placed by codes of your own collection: `dqh export ARTIFACT --to faiss --codes codes.npy --lists 1024`.
"""
