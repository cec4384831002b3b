"""The latent-binary network: its loss by hand, its gradients, its initialisation."""

import math

import pytest
import torch
from torch import nn

from dqh.methods.dlbhc import DLBHC
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.training import Optimizer


def network(**arguments) -> DLBHC:
    arguments = {"bits": 4, "optimizer": Optimizer()} | arguments
    return DLBHC(Identity(size=6), 3, **arguments)


def test_cross_entropy_by_hand() -> None:
    """Scores (1, 0, 0) and label 0: −log(e / (e + 2)); the classifier sees the latent layer alone."""
    method = network()
    with torch.no_grad():
        method.classifier.weight.zero_()
        method.classifier.weight[0, 0] = 1
        method.classifier.bias.zero_()
    output = EncoderOutput(embedding=torch.tensor([[1.0, 0, 0, 0]]), features=torch.full((1, 6), torch.nan))
    terms = method.losses(output, torch.tensor([0]))
    assert list(terms) == ["cross_entropy"]
    assert terms["cross_entropy"].item() == pytest.approx(-math.log(math.e / (math.e + 2)))


def test_multi_labels_by_hand() -> None:
    """All scores 0: each class costs log 2, whatever its label."""
    method = network()
    nn.init.zeros_(method.classifier.weight)
    nn.init.zeros_(method.classifier.bias)
    output = EncoderOutput(torch.rand(2, 4), torch.rand(2, 6))
    loss = method.losses(output, torch.tensor([[True, False, True], [False, False, False]]))["cross_entropy"]
    assert loss.item() == pytest.approx(math.log(2))


def test_gradients() -> None:
    method = network(label_smoothing=0.1).double()
    embedding = torch.rand(5, 4, dtype=torch.double, requires_grad=True)
    labels = torch.tensor([0, 1, 2, 1, 0])
    assert torch.autograd.gradcheck(
        lambda values: method.losses(EncoderOutput(values, values), labels)["cross_entropy"], (embedding,)
    )


def test_every_parameter_gets_a_gradient() -> None:
    method = DLBHC(SmallResNet(width=4, size=8), 3, bits=4, optimizer=Optimizer())
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    method.losses(output, torch.arange(8) % 3)["cross_entropy"].backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_the_decoder_by_hand() -> None:
    """It says 1, the features are 0 and 2: squared errors of 2 for squared distances from their mean of 2, times 3."""
    method = network(reconstruction=3.0)
    nn.init.zeros_(method.decoder.weight)
    nn.init.ones_(method.decoder.bias)
    output = EncoderOutput(torch.rand(2, 4), torch.tensor([[0.0], [2.0]]).expand(2, 6))
    terms = method.losses(output, torch.tensor([0, 1]))
    assert list(terms) == ["cross_entropy", "reconstruction"]
    assert terms["reconstruction"].item() == pytest.approx(3)


def test_the_decoder_moves_the_latent_layer_and_no_backbone() -> None:
    torch.manual_seed(0)
    method = DLBHC(SmallResNet(width=4, size=8), 3, bits=4, optimizer=Optimizer(), reconstruction=3.0)
    output = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    method.losses(output, torch.arange(8) % 3)["reconstruction"].backward()
    moved = {name for name, weight in method.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert moved == {"encoder.head.linear.weight", "encoder.head.linear.bias", "decoder.weight", "decoder.bias"}


def test_frozen_features_are_rebuilt_from_the_embedding_of_the_step() -> None:
    """One pass of the head a step: noise is drawn once, and statistics of a hidden layer move once."""
    method = network(reconstruction=1.0, noise=1.0)
    features = torch.randn(8, 6)
    output = EncoderOutput(method.encoder.head(features), features)
    before = torch.get_rng_state()
    method.losses(output, torch.arange(8) % 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_initialisation_of_the_authors_release() -> None:
    torch.manual_seed(0)
    method = DLBHC(
        Identity(size=500), 300, bits=64, optimizer=Optimizer(), latent_std=0.005, latent_bias=1.0, classifier_std=0.01
    )
    latent = method.encoder.head.linear
    assert latent.weight.std().item() == pytest.approx(0.005, rel=0.02)  # of 32,000 draws
    assert latent.bias.unique().tolist() == [1.0]
    assert method.classifier.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert method.classifier.bias.unique().tolist() == [0.0]


def test_the_code_is_the_latent_layer_above_one_half() -> None:
    method = network().eval()
    vectors = torch.randn(50, 6)
    with torch.no_grad():
        embedding = method.encoder(vectors).embedding.numpy()
        logits = method.encoder.head.linear(vectors).numpy()
    assert (method.quantizer().decode(method.quantizer().encode(embedding)) == (logits > 0)).all()
    assert method.quantizer().bits == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 0}, "bits must be at least 1, got 0"),
        ({"bits": 10**6}, "bits must be at most 4096, got 1000000"),
        ({"latent_std": math.nan}, "latent_std must be null or at least 0, got nan"),
        ({"dropout": 1.5}, "dropout must be in 0 … 1"),
        ({"label_smoothing": 1}, "label_smoothing must be in 0 … 1, 1 excluded, got 1"),
        ({"reconstruction": -1}, "reconstruction must be at least 0 and finite, got -1"),
        ({"reconstruction": math.inf}, "reconstruction must be at least 0 and finite, got inf"),
    ],
)
def test_errors(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**arguments)


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="classes must be at least 2, got 1"):
        DLBHC(Identity(size=2), 1, bits=4, optimizer=Optimizer())
