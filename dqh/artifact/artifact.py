"""The artifact: a folder with everything that turns an image into a code, for any program, and nothing to execute.

    artifact.json            what it is; canonical JSON whose last field is the hash of the others; written last
    encoder.safetensors      weights
    quantizer.safetensors    thresholds, or codebooks (M, K, D/M) and a rotation
    classifier.safetensors   weight and bias of the classifier over the embedding, where the method has one
    split.json               ids of every role of the training data
    golden/                  inputs with the codes and features that they must give
    lengths/                 of further lengths of code from the same training: what each has of its own
    encoder.onnx, encoder.pt2, verify_onnx.py, faiss/, triton/    on request, see `dqh.export.artifact.forms`

Here is what it says of itself; it is written in `dqh.artifact.saving` and read in `dqh.artifact.loading`.
"""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from dqh.artifact.interface import Interface
from dqh.artifact.manifest import FORMAT_VERSION
from dqh.data import Split
from dqh.models import Encoder, HashHead
from dqh.quantizers import Quantizer
from dqh.sealed import canonical
from dqh.tensors import write_arrays


@dataclass(frozen=True)
class Length:
    """What an encoder has of its own for codes of a further length, on the same backbone.

    Attributes:
        head: features → embedding.
        quantizer: embedding → codes.
        classifier: embedding → class scores, or None.
    """

    head: HashHead
    quantizer: Quantizer
    classifier: nn.Linear | None


@dataclass(frozen=True)
class Artifact:
    """An encoder with all that belongs to it.

    Attributes:
        method: name of the method that trained it.
        encoder: images → embedding and features, in evaluation mode.
        quantizer: embedding → codes.
        classifier: embedding → class scores, or None.
        class_names: of the training data.
        split: who was who in the training data.
        training: facts about the training, JSON values.
        lengths: bits → codes of further lengths from the same training.
    """

    method: str
    encoder: Encoder
    quantizer: Quantizer
    classifier: nn.Linear | None
    class_names: tuple[str, ...]
    split: Split
    training: Mapping[str, Any]
    lengths: Mapping[int, Length] = field(default_factory=dict)

    def of_length(self, bits: int) -> "Artifact":
        """The ordinary artifact of one length, which shares this one's weights.

        Args:
            bits: those of this one, or a key of `lengths`.
        """
        if bits == self.quantizer.bits:
            return replace(self, lengths={})
        length, whole = self.lengths[bits], self.encoder
        encoder = Encoder(whole.backbone, length.head, spec=whole.spec).train(whole.training)
        if whole.spec.kind == "image":
            encoder.mean, encoder.std = whole.mean, whole.std
        return replace(self, encoder=encoder, quantizer=length.quantizer, classifier=length.classifier, lengths={})

    @property
    def encoder_id(self) -> str:
        """SHA-256 over weights, preprocessing and quantizer: equal ids give equal codes."""
        return encoder_id_of(self, architecture_of(self))

    @property
    def interface(self) -> Interface:
        """The same as `load_interface` reads."""
        return Interface(self.encoder_id, self.encoder.spec, self.quantizer, self.encoder.backbone.dimension)


def encoder_id_of(artifact: Artifact, architecture: Mapping[str, Any]) -> str:
    """SHA-256 over weights, quantizer and what `architecture_of` gives, in the form of a version."""
    digest = hashlib.sha256()
    digest.update(save(plain(artifact.encoder.state_dict())))
    digest.update(write_arrays(artifact.quantizer.state()))
    digest.update(canonical(architecture))
    return digest.hexdigest()


def architecture_of(artifact: Artifact) -> dict[str, Any]:
    """What, beside the weights, decides which code an image gets."""
    encoder = artifact.encoder
    return {
        "backbone": {"name": encoder.backbone.name, "arguments": encoder.backbone.arguments},
        "head": {
            "dimension": encoder.head.dimension,
            "activation": encoder.head.activation,
            "normalise": encoder.head.normalise,
            **({} if encoder.head.hidden is None else {"hidden": encoder.head.hidden}),
        },
        "feature": {"name": encoder.backbone.arguments.get("tap", "input"), "size": encoder.backbone.dimension},
        "input": encoder.spec.to_json(),
        "bits": artifact.quantizer.bits,
        "code_kind": artifact.quantizer.kind,
        "bit_rule": artifact.quantizer.rule,
        "bit_order": "little",
        **artifact.quantizer.layout(),
    }


def manifest_of(artifact: Artifact) -> dict[str, Any]:
    """The fields of `artifact.json` but for `files`."""
    packages = ["dqh", "torch", "torchvision", "pytorch-lightning", "numpy", "safetensors"]
    if artifact.encoder.backbone.name == "timm":
        packages.append("timm")
    return {
        "format_version": FORMAT_VERSION,
        "encoder_id": artifact.encoder_id,
        "method": artifact.method,
        **architecture_of(artifact),
        "classes": None if artifact.classifier is None else artifact.classifier.out_features,
        "class_names": list(artifact.class_names),
        "data": {
            "name": artifact.split.data,
            "split": artifact.split.protocol,
            "seed": artifact.split.seed,
            "split_sha256": artifact.split.sha256,
        },
        "training": dict(artifact.training),
        "code_distance": artifact.quantizer.distance,
        "metrics": None,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        **({"lengths": _lengths_of(artifact)} if artifact.lengths else {}),
    }


def _lengths_of(artifact: Artifact) -> dict[str, dict[str, Any]]:
    """Of each further length, by its bits, what is not as in the main one."""
    main, fields = architecture_of(artifact), {}
    for bits in sorted(artifact.lengths):
        other = artifact.of_length(bits)
        own = {name: value for name, value in architecture_of(other).items() if value != main.get(name)}
        fields[str(bits)] = {"encoder_id": other.encoder_id, **own}
    return fields


def plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU in their logical order, sorted by name, so that equal weights give equal bytes."""
    return {name: state[name].detach().cpu().contiguous() for name in sorted(state)}
