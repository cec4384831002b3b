"""The Deep Quantization Network: its terms by hand, its codebooks, its options."""

import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dqh.errors import NotFittedError
from dqh.methods.dqn import DQN, nearest
from dqh.models import EncoderOutput, Identity, SmallResNet
from dqh.quantizers import ProductQuantizer
from dqh.training import Optimizer

CODEBOOKS = torch.tensor([[[1.0], [0.0]], [[0.0], [0.5]]])
"""M = 2, K = 2, D = 2."""


def network(**arguments: Any) -> DQN:
    small: dict[str, Any] = {"bits": 2, "codewords": 2, "dimension": 2, "optimizer": Optimizer()}
    method = DQN(Identity(size=6), 3, **small | {"quantization_warmup": 0.0} | arguments)
    if method.codebooks.shape == CODEBOOKS.shape:
        with torch.no_grad():
            method.codebooks.copy_(CODEBOOKS)
            method.fitted.fill_(value=True)
    return method


def output(embedding: Tensor) -> EncoderOutput:
    return EncoderOutput(embedding, torch.full((len(embedding), 6), torch.nan))


TWO = torch.tensor([[0.6, 0.0], [0.0, 0.8]])
"""Orthogonal, of two classes below: cosine 0."""


def test_the_terms_by_hand() -> None:
    """L: two pairs (0 − (−1))² and the diagonal's 0, over 4: .5. Q: (.4² + 0² + 0² + .3²) / 2 = .125, times λ = .1."""
    terms = network(quantization_weight=0.1).losses(output(TWO), torch.tensor([0, 1]))
    assert list(terms) == ["similarity", "quantization"]
    assert terms["similarity"].item() == pytest.approx(0.5)
    assert terms["quantization"].item() == pytest.approx(0.0125)


def test_the_options_of_a_pair_by_hand() -> None:
    """A target of −1/2 of 3 classes costs a quarter of it; of the off-diagonal pairs alone the mean is 1/4."""
    method = network(negative_target="balanced", diagonal=False)
    assert method.losses(output(TWO), torch.tensor([0, 1]))["similarity"].item() == pytest.approx(0.25)


def test_the_inner_product_by_hand() -> None:
    """(1 − .36/2)² + (1 − .64/2)² + 2 (−1 − 0)², over 4: (.6724 + .4624 + 2) / 4."""
    method = network(similarity="inner_product", normalise=False)
    assert method.losses(output(TWO), torch.tensor([0, 1]))["similarity"].item() == pytest.approx(3.1348 / 4)
    with pytest.raises(ValueError, match="similarity inner_product needs normalise false"):
        network(similarity="inner_product")


def test_lambda_warms_up() -> None:
    method = network(quantization_warmup=0.5, quantization_weight=1.0)
    found = []
    for step in (0, 4, 5, 9):
        method._trainer = SimpleNamespace(global_step=step, estimated_stepping_batches=10)
        found.append(method.losses(output(TWO), torch.tensor([0, 1]))["quantization"].item())
    assert found == pytest.approx([0, 0, 0.125, 0.125])


def test_diagnostics_by_hand() -> None:
    """Q over mean ‖z‖²: .125 / ((.36 + .64) / 2). The bound of two images of two classes is 0, met by z = −z'."""
    found = network().diagnostics(output(TWO), torch.tensor([0, 1]))
    assert found["quantization_error"].item() == pytest.approx(0.25)
    assert found["similarity_excess"].item() == pytest.approx(0.5)
    opposite = torch.tensor([[0.6, 0.0], [-0.6, 0.0]])
    assert network().diagnostics(output(opposite), torch.tensor([0, 1]))["similarity_excess"].item() == pytest.approx(0)


def test_the_nearest_codeword_is_that_of_the_quantizer() -> None:
    codebooks, vectors = torch.randn(3, 16, 4), torch.randn(50, 12)
    quantizer = ProductQuantizer.from_codebooks(codebooks.numpy())
    assert np.array_equal(
        nearest(vectors, codebooks).numpy(), quantizer.codewords_of(quantizer.encode(vectors.numpy()))
    )


def test_straight_through_sees_codewords_and_moves_them() -> None:
    """The codewords of TWO are (1, 0) and (0, .5), orthogonal as TWO is: L the same; λQ pulls at z alone.

    A term without λ pulls at the codewords: d/dC of mean ‖z − C h‖² is 2 (C h − z) / 2 = (.4, 0) of the first image,
    (0, −.3) of the second.
    """
    method = network(codebook="straight_through", quantization_weight=0.5)
    embedding = TWO.clone().requires_grad_()
    terms = method.losses(output(embedding), torch.tensor([0, 1]))
    assert terms["similarity"].item() == pytest.approx(0.5)
    assert terms["quantization"].item() == pytest.approx(0.0625)
    assert terms["codebooks"].item() == pytest.approx(0.125)
    (terms["quantization"] + terms["codebooks"]).backward()
    assert method.codebooks.grad is not None
    assert torch.allclose(method.codebooks.grad.squeeze(2), torch.tensor([[0.4, 0.0], [0.0, -0.3]]))
    assert embedding.grad is not None
    assert torch.allclose(embedding.grad, torch.tensor([[-0.2, 0.0], [0.0, 0.15]]))


def test_alternating_codebooks_are_no_parameters() -> None:
    method = network()
    assert "codebooks" not in dict(method.named_parameters())
    assert "codebooks" in method.state_dict()


def test_straight_through_codebooks_are_fitted_until_the_warm_up_is_over() -> None:
    """Also where no epoch ends before: the first fit after it is the last one."""
    method = network(codebook="straight_through", quantization_warmup=0.5, quantization_weight=1.0)
    vectors = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    method._trainer = SimpleNamespace(global_step=4, estimated_stepping_batches=10)
    method.fit_quantizer(vectors, seed=0)
    fitted = method.codebooks.detach().clone()
    assert not torch.equal(fitted, CODEBOOKS)
    off = torch.tensor([[0.9, 0.3], [0.1, 0.8]])
    plain = network(quantization_warmup=0.5).losses(output(off), torch.tensor([0, 1]))["similarity"]
    assert torch.equal(method.losses(output(off), torch.tensor([0, 1]))["similarity"], plain)
    method._trainer = SimpleNamespace(global_step=5, estimated_stepping_batches=10)
    assert torch.equal(method.losses(output(off), torch.tensor([0, 1]))["similarity"], plain)
    method.fit_quantizer(vectors + 1, seed=0)
    again = method.codebooks.detach().clone()
    assert not torch.equal(again, fitted)
    method.fit_quantizer(vectors, seed=0)
    assert torch.equal(method.codebooks.detach(), again)
    assert not torch.equal(method.losses(output(off), torch.tensor([0, 1]))["similarity"], plain)


def test_a_step_does_not_ask_the_device_whether_the_codebooks_are_settled() -> None:
    """A tensor of `meta` has no value to be read. What the flag says follows a state that is loaded, both ways."""
    vectors = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).numpy()
    early, late = (network(codebook="straight_through") for _ in range(2))
    late.fit_quantizer(vectors, seed=0)
    labels = torch.tensor([0, 1])

    def similarity(method: DQN) -> float:
        kept, method.settled = method.settled, torch.tensor(False, device="meta")
        try:
            return method.losses(output(TWO), labels)["similarity"].item()
        finally:
            method.settled = kept

    states = [{name: value.clone() for name, value in method.state_dict().items()} for method in (early, late)]
    of_z, of_codewords = similarity(early), similarity(late)
    assert of_z == pytest.approx(0.5)
    assert of_codewords != pytest.approx(of_z, abs=0.01)
    early.load_state_dict(states[1])
    late.load_state_dict(states[0])
    assert (similarity(early), similarity(late)) == (of_codewords, of_z)
    assert similarity(pickle.loads(pickle.dumps(early))) == of_codewords


@pytest.mark.parametrize("codebook", ["alternating", "straight_through"])
def test_every_parameter_gets_a_gradient(codebook: str) -> None:
    method = DQN(
        SmallResNet(width=4, size=8),
        3,
        bits=4,
        codewords=4,
        dimension=8,
        optimizer=Optimizer(),
        quantization_warmup=0.0,
        codebook=codebook,  # type: ignore[arg-type]
    )
    method.fit_quantizer(np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32), seed=0)
    found = method.encoder(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8))
    torch.stack(list(method.losses(found, torch.arange(8) % 3).values())).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in method.parameters())


def test_gradients() -> None:
    """Of the embedding, inside the cells of its codewords."""
    method = network(quantization_weight=0.3).double()
    embedding = torch.tensor([[0.9, 0.1], [0.2, 0.6], [-0.7, 0.4]], dtype=torch.double, requires_grad=True)

    def loss(values: Tensor) -> Tensor:
        return torch.stack(list(method.losses(output(values), torch.tensor([0, 1, 0])).values())).sum()

    assert torch.autograd.gradcheck(loss, (embedding,))


def test_a_rotation_becomes_a_part_of_the_quantizer() -> None:
    """Correlated dimensions far apart: OPQ brings them together, and the artifact's error is the network's own."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(400, 1))
    vectors = np.hstack([first, rng.normal(size=(400, 2)) / 4, first]).astype(np.float32)
    plain, rotated = (network(bits=4, codewords=4, dimension=4, rotation=rotation) for rotation in (False, True))
    errors = []
    for method in (plain, rotated):
        method.fit_quantizer(vectors, seed=0)
        quantizer = method.quantizer()
        errors.append(float(((quantizer.decode(quantizer.encode(vectors)) - vectors) ** 2).sum(1).mean()))
        told = method.diagnostics(output(torch.from_numpy(vectors[:50])), torch.zeros(50, dtype=torch.long))
        kept = quantizer.decode(quantizer.encode(vectors[:50])) - vectors[:50]
        assert told["quantization_error"].item() == pytest.approx((kept**2).sum() / (vectors[:50] ** 2).sum(), rel=1e-4)
    assert rotated.quantizer().rotation is not None
    assert errors[1] < errors[0]


def test_another_length_begins_with_the_cells_of_the_main_one() -> None:
    """In the first part of the main length the first two vectors are near to 1, the others to 0.

    M = 1 begins with the means of these two cells in both dimensions. Of M = 2 the second part has the cells of its
    own, 0 and .5: vectors 1 and 4 and vectors 2 and 3.
    """
    vectors = np.array([[0.9, 0.1], [0.8, 0.6], [0.1, 0.4], [0.2, 0.0]], np.float32)
    whole, halves = (network()._means_of_cells(vectors, subspaces) for subspaces in (1, 2))
    np.testing.assert_allclose(whole, [[[0.85, 0.35], [0.15, 0.2]]], atol=1e-6)
    np.testing.assert_allclose(halves, [[[0.85], [0.15]], [[0.05], [0.5]]], atol=1e-6)


def test_a_cell_that_is_empty_takes_half_of_another() -> None:
    """Both are nearest to 1. Their mean is .75, and the farther one, .6, lies .15 from it: the halves move a 16th."""
    method = network(bits=1, codewords=2, dimension=1)
    with torch.no_grad():
        method.codebooks.copy_(torch.tensor([[[1.0], [0.0]]]))
    start = method._means_of_cells(np.array([[0.9], [0.6]], np.float32), 1)
    assert sorted(start.ravel()) == pytest.approx([0.75 - 0.15 / 16, 0.75 + 0.15 / 16])


@pytest.mark.parametrize(("bits", "rotation"), [(4, False), (16, False), (4, True)])
def test_codebooks_of_another_length_leave_as_little_error_as_their_own(bits: int, rotation: bool) -> None:
    """Of vectors of ten kinds, each with a codeword in its middle: beside a hundred rounds of k-means from anywhere."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(10, 8))[np.arange(800) % 10] + 0.05 * rng.normal(size=(800, 8))
    vectors = vectors.astype(np.float32)
    method = network(bits=8, codewords=16, dimension=8, rotation=rotation)
    method.fit_quantizer(vectors, seed=0)
    quantizer = method.quantizer_of(bits, vectors, seed=0)
    whole = ProductQuantizer(bits // 4, 16, iterations=100).fit(vectors)
    errors = [float(np.square(q.decode(q.encode(vectors)) - vectors).sum(1).mean()) for q in (quantizer, whole)]
    assert (quantizer.bits, quantizer.distance) == (bits, "ip")
    assert errors[0] < 1.5 * errors[1]


def test_a_normalised_embedding_has_length_1() -> None:
    method = DQN(Identity(size=6), 3, bits=8, dimension=12, normalise=True, optimizer=Optimizer())
    vectors = method.encoder(torch.randn(300, 6)).embedding.detach()
    assert torch.allclose(vectors.norm(dim=1), torch.ones(300))
    method.fit_quantizer(vectors.numpy(), seed=0)
    assert method.quantizer().distance == "ip"
    other = DQN(Identity(size=6), 3, bits=8, dimension=12, normalise=False, optimizer=Optimizer())
    other.fit_quantizer(vectors.numpy(), seed=0)
    assert other.quantizer().distance == "l2"
    asked = DQN(Identity(size=6), 3, bits=8, dimension=12, normalise=False, distance="ip", optimizer=Optimizer())
    asked.fit_quantizer(vectors.numpy(), seed=0)
    assert asked.quantizer().distance == "ip"


def test_codebooks_that_were_never_fitted() -> None:
    method = DQN(Identity(size=6), 3, bits=8, dimension=12, optimizer=Optimizer())
    assert method.bits == 8
    with pytest.raises(NotFittedError, match=r"codebooks of dqn are not fitted; call fit_quantizer"):
        method.quantizer()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"bits": 12},
            r"bits must be a multiple of log2 codewords = 8, got 12; of 12 bits, codewords can be 4096, 64",
        ),
        ({"bits": 0}, "bits must be a multiple of log2 codewords = 8, got 0"),
        ({"codewords": 100}, "codewords must be a power of two from 2 to 65536, got 100"),
        ({"codewords": 2**17, "bits": 17}, "codewords must be a power of two from 2 to 65536, got 131072"),
        ({"bottleneck_std": 0.0}, "bottleneck_std null or above 0, got 0.0"),
        ({"dimension": 300, "bits": 64}, "dimension must be a multiple of .* = 8, the number of subspaces, got 300"),
        ({"quantization_weight": -1.0}, "quantization_weight at least 0, got -1.0"),
        ({"quantization_warmup": 1.5}, "quantization_warmup in 0 … 1, got 1.5"),
        ({"refit_every": 0}, "refit_every at least 1, got 0"),
        ({"codebook": "straight_through", "refit_every": 2}, "refit_every 1 for straight_through codebooks, got 2"),
        ({"codebook": "straight-through"}, "codebook alternating or straight_through, got straight-through"),
        ({"distance": "cosine"}, "distance l2, ip or null, got cosine"),
        ({"similarity": "dot"}, "similarity cosine or inner_product, got dot"),
        ({"negative_target": 1.0}, "negative_target"),
        ({"positive_weight": 0.0}, "positive_weight"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DQN(Identity(size=6), 3, **{"bits": 32, "optimizer": Optimizer()} | arguments)


def test_a_rotation_is_float32_under_autocast() -> None:
    method = DQN(Identity(size=6), 3, bits=8, dimension=12, rotation=True, optimizer=Optimizer())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert method._rotated(torch.randn(3, 12, dtype=torch.bfloat16)).dtype == torch.float32
