"""OrthoHash: its loss by hand, and the batch norm whose mean lives in a bias."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dqh.losses import hash_centres, margin_cosine_loss
from dqh.methods.orthohash import OrthoHash
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.training import Optimizer


def network(**arguments: Any) -> OrthoHash:
    return OrthoHash(Identity(size=6), **({"classes": 3, "bits": 4, "optimizer": Optimizer()} | arguments))


def test_the_loss_by_hand() -> None:
    """In evaluation mode, before any step: an embedding that is its centre has the cosines 1, 0, 0; s = 2, m = ½."""
    method = network(scale=2.0, margin=0.5).eval()
    embedding = method.classifier.weight[[1]]
    terms = method.losses(EncoderOutput(embedding, embedding), torch.tensor([1]))
    assert list(terms) == ["cosine"]
    assert terms["cosine"].item() == pytest.approx(-math.log(math.e / (math.e + 2)), rel=1e-4)  # ε of the batch norm


def test_the_bias_is_the_running_mean_of_a_batch_norm() -> None:
    """Twenty steps beside torch's own batch norm on a layer without a bias: the same loss, mean, variance and codes."""
    torch.manual_seed(0)
    method = network()
    weight, norm = method.encoder.head.linear.weight.detach(), nn.BatchNorm1d(4, affine=False)
    centres, labels = method.classifier.weight, torch.arange(12) % 3
    for _ in range(20):
        vectors = torch.randn(12, 6) + 3
        found = method.losses(method.encoder(vectors), labels)["cosine"]
        wanted = margin_cosine_loss(norm(vectors @ weight.T), labels, centres=centres)
        assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert torch.allclose(method.encoder.head.linear.bias, -norm.running_mean, atol=1e-5)
    assert torch.allclose(method.variance, norm.running_var, rtol=1e-4)
    vectors = torch.randn(200, 6) + 3
    embedding = method.eval().encoder(vectors).embedding.detach()
    normalised = norm.eval()(vectors @ weight.T)
    assert torch.allclose(embedding / (method.variance + norm.eps).sqrt(), normalised, atol=1e-4)
    sure = normalised.abs() > 1e-4
    assert ((embedding > 0) == (normalised > 0))[sure].all()
    assert sure.float().mean() > 0.99


def test_a_single_image_is_normalised_by_what_is_known() -> None:
    method = network()
    before = method.encoder.head.linear.bias.clone()
    loss = method.losses(method.encoder(torch.randn(1, 6)), torch.tensor([0]))["cosine"]
    assert torch.isfinite(loss)
    assert torch.equal(before, method.encoder.head.linear.bias)


def test_gradients() -> None:
    method, labels = network().double(), torch.tensor([0, 1, 2, 1, 0])
    embedding = torch.randn(5, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: method.losses(EncoderOutput(z, z), labels)["cosine"], (embedding,))


def test_what_trains_gets_a_gradient_and_the_codes_of_the_classes_stay() -> None:
    method = OrthoHash(SmallResNet(width=4, size=8), 3, bits=4, optimizer=Optimizer(), seed=7)
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    method.losses(output, torch.arange(8) % 3)["cosine"].backward()
    idle = [name for name, parameter in method.named_parameters() if parameter.grad is None]
    assert idle == ["encoder.head.linear.bias", "classifier.weight", "classifier.bias"]
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.parameters() if parameter.grad is not None)
    assert torch.equal(method.classifier.weight, hash_centres(3, 4, seed=7))


def test_the_code_is_the_sign() -> None:
    quantizer = network().quantizer()
    codes = quantizer.encode(np.array([[0.2, -0.1, 0.0, 3.0]], np.float32))
    assert quantizer.decode(codes).tolist() == [[1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "classes and bits must be at least 1, got 3 and 0"),
        ({"scale": 0.0}, "scale must be above 0 and margin at least 0, got 0.0 and 0.2"),
        ({"margin": math.inf}, "scale must be above 0 and margin at least 0, got 8.0 and inf"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)


def test_the_codes_of_the_classes_and_the_mean_alone_are_kept_from_the_optimizer() -> None:
    fixed = [name for name, parameter in network().named_parameters() if not parameter.requires_grad]
    assert fixed == ["encoder.head.linear.bias", "classifier.weight", "classifier.bias"]
