"""Shallow hashes as the layer H: linear functions of the features whose signs are the bits, without a network to train.

ITQ, PCA-RR and LSH read no labels, ITQ-CCA, BRE and MLH do. The backbone stays as it is.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqh.models import Backbone, Encoder, EncoderOutput, HashHead
from dqh.plural import counted
from dqh.quantizers import Threshold
from dqh.quantizers.bre import BRE
from dqh.quantizers.itq import ITQ
from dqh.quantizers.itq_cca import ITQCCA
from dqh.quantizers.lsh import LSH
from dqh.quantizers.mlh import MLH
from dqh.quantizers.sign_hash import SignHash
from dqh.training.module import HashModule
from dqh.training.optimizer import Optimizer

Name = Literal["itq", "itq_cca", "pca_rr", "lsh", "bre", "mlh"]

_HASHES: Mapping[Name, Callable[..., SignHash]] = {
    "itq": ITQ,
    "itq_cca": ITQCCA,
    "pca_rr": lambda bits, *, seed, iterations: ITQ(bits, seed=seed, iterations=0),
    "lsh": lambda bits, *, seed, iterations: LSH(bits, seed=seed),
    "bre": lambda bits, *, seed, iterations: BRE(bits, seed=seed),
    "mlh": lambda bits, *, seed, iterations: MLH(bits, seed=seed),
}


class Shallow(HashModule):
    """A shallow hash of `dqh.quantizers`, folded into the layer H.

    Bit b is the sign of (x − mean) · p for a column p of the projection, so H has the weight p and the bias −mean · p:
    an ordinary binary network, whose codes are those of the hash. They are computed in float64 and kept in float32.

    Args:
        backbone: images → features.
        classes: not used; `itq_cca`, `bre` and `mlh` read the labels.
        bits: B, length of a code.
        optimizer: not used; nothing is trained.
        name: which: `itq` and `itq_cca` (Gong and Lazebnik 2011), `pca_rr`, which is `itq` without iterations, or `lsh`
            (Charikar 2002), `bre` (Kulis and Darrell 2009) or `mlh` (Norouzi and Fleet 2011); also the name of the
            method.
        iterations: of `itq` and `itq_cca`: alternations of codes and rotation.

    Raises:
        ValueError: an unknown name, a value outside its range, or more bits than features for `itq` and `pca_rr`.
    """

    method = "shallow"

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        bits: int,
        optimizer: Optimizer,
        name: Name,
        iterations: int = 50,
    ) -> None:
        if name not in _HASHES:
            raise ValueError(f"name must be one of {', '.join(get_args(Name))}, got {name!r}")
        _HASHES[name](bits, seed=0, iterations=iterations)
        if name in ("itq", "pca_rr") and bits > backbone.dimension:
            raise ValueError(
                f"bits must be at most {backbone.dimension} for {name}, a bit a feature, got {bits}; the others "
                "have no such limit"
            )
        head = HashHead(backbone.dimension, bits, activation="none")
        super().__init__(Encoder(backbone, head), classifier=None, optimizer=optimizer)
        self.method = name  # type: ignore[misc]  # the class is one, the methods are several
        self.name = name
        self.iterations = iterations
        if name in ("itq", "pca_rr"):
            self.least_images = bits + 1

    def advice_for_images(self, number: int) -> str:
        """As many bits as there are principal components, the power of two below as an example, or LSH."""
        most = number - 1
        if most < 1:
            return "choose method=lsh"
        return f"choose at most {counted(most, 'bit')}, such as bits={1 << most.bit_length() - 1}, or method=lsh"

    def freeze_layers(self) -> None:
        """Freeze everything; the optimizer is not asked."""
        self.requires_grad_(False)

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """There are none."""
        raise NotImplementedError(f"{self.method} is computed in closed form and has no loss; call fit_head")

    def fit_head(self, features: NDArray[np.float32], labels: NDArray[Any], *, seed: int) -> None:
        """Fit the hash and fold it into H, as `dqh.training.closed_form.ClosedForm` says."""
        hashing = _HASHES[self.name](self.bits, seed=seed, iterations=self.iterations).fit(features, labels)
        linear = self.encoder.head.linear
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(hashing.projection.T))
            linear.bias.copy_(torch.from_numpy(-hashing.mean @ hashing.projection))

    def quantizer(self) -> Threshold:
        """The sign of the embedding, with 0 for 0."""
        return Threshold(self.encoder.head.dimension, threshold=0.0)
