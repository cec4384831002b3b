"""Methods without labels: their terms by hand, that no label is read, and what cannot be."""

from typing import Any

import pytest
import torch

from dqh.losses.views import coding_rate
from dqh.methods.bihalf import BiHalf
from dqh.methods.cibhash import CIBHash
from dqh.methods.crovca import CroVCA
from dqh.methods.greedyhash_unsupervised import UnsupervisedGreedyHash
from dqh.models import EncoderOutput, Identity
from dqh.training import HashModule, Optimizer

CLASSES = (BiHalf, CIBHash, CroVCA, UnsupervisedGreedyHash)


def network(kind: type[HashModule], **arguments: Any) -> HashModule:
    return kind(Identity(size=2), 3, **({"bits": 2, "optimizer": Optimizer()} | arguments))  # type: ignore[call-arg]


U = torch.tensor([[3.0, -1.0], [0.5, 1.0]])
X = torch.tensor([[1.0, 0.0], [0.0, 2.0]])


def test_bihalf_by_hand() -> None:
    """Codes (1, −1) and (−1, 1): cosine −1 against 0 of the features; its square is 1."""
    terms = network(BiHalf).losses(EncoderOutput(U, X), torch.zeros(2).long())
    assert {name: value.item() for name, value in terms.items()} == pytest.approx({"similarity": 1})


def test_greedyhash_by_hand() -> None:
    """Signs (1, −1) and (1, 1): cosine 0, as of the features. | |h| − 1 |³: 8, 0, 1/8, 0, of mean 65/32."""
    terms = network(UnsupervisedGreedyHash, penalty=0.5).losses(EncoderOutput(U, X), torch.zeros(2).long())
    assert terms["similarity"].item() == 0
    assert terms["sign"].item() == pytest.approx(0.5 * 65 / 32)


def test_cibhash_by_hand() -> None:
    """In evaluation both views are one, with codes (1, −1) and (1, 1): cosines 1 of a view with its other, 0 else.

    log(1 + 2 e^(−1/τ)) for τ = ½, and no divergence.
    """
    method = network(CIBHash, temperature=0.5).eval()
    with torch.no_grad():
        terms = method.losses(EncoderOutput(U, X), torch.zeros(2).long())
    assert terms["contrast"].item() == pytest.approx(torch.tensor(1 + 2 * torch.e**-2).log().item())
    assert terms["bottleneck"].item() == 0


def test_drawn_bits_have_the_probabilities_of_the_embedding() -> None:
    """σ(1) = .7311 of 20,000 draws, ± 4 standard deviations of .0031."""
    torch.manual_seed(0)
    method = network(CIBHash)
    drawn = method._drawn(torch.ones(20_000, 1))
    assert set(drawn.unique().tolist()) == {-1, 1}
    assert (drawn > 0).float().mean().item() == pytest.approx(0.7311, abs=0.0125)


def test_crovca_by_hand() -> None:
    """In evaluation, with variance 1 and no mean: log(1 + e^−|u|) a bit; half the rate of four rows, of two bits."""
    method = network(CroVCA, rate=0.5, precision=0.25).eval()
    terms = method.losses(EncoderOutput(U, X), torch.zeros(2).long())
    wanted = torch.nn.functional.softplus(-U.abs()).mean().item()
    assert terms["alignment"].item() == pytest.approx(wanted, rel=1e-4)  # the norm adds 1e-5 to the variance
    assert terms["rate"].item() == pytest.approx(
        -0.25 * coding_rate(torch.cat([U, U]), precision=0.25).item(), rel=1e-4
    )


def test_the_norm_of_crovca_moves_into_the_bias() -> None:
    """Momentum .1: the bias becomes −.1 of the mean of both views, which without dropout are one."""
    method = network(CroVCA, dropout=0.0)
    vectors = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 5.0]])
    before = method.encoder.head(vectors)
    method.losses(EncoderOutput(before, vectors), torch.zeros(3).long())
    torch.testing.assert_close(method.encoder.head.linear.bias.detach(), -0.1 * before.detach().mean(0))


@pytest.mark.parametrize("kind", CLASSES)
def test_no_label_is_read(kind: type[HashModule]) -> None:
    method = network(kind).eval()
    single, several = torch.tensor([0, 1]), torch.tensor([[True, False], [True, True]])
    with torch.no_grad():
        found = [method.losses(EncoderOutput(U, X), labels) for labels in (single, single * 0, several)]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kind", [CIBHash, CroVCA])
def test_two_views_differ_by_dropout(kind: type[HashModule], monkeypatch: pytest.MonkeyPatch) -> None:
    views: list[torch.Tensor] = []
    monkeypatch.setattr(kind, "view_losses", lambda self, first, second: views.extend((first, second)) or {})
    for dropout in (0.0, 0.5):
        torch.manual_seed(0)
        method = network(kind, dropout=dropout)
        vectors = torch.randn(50, 2)
        method.losses(EncoderOutput(method.encoder.head(vectors), vectors), torch.zeros(50).long())
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[2], views[3])


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        *((kind, {"bits": 0}, "bits must be at least 1, got 0") for kind in CLASSES),
        (BiHalf, {"gamma": -1.0}, "gamma must be at least 0, got -1.0"),
        (UnsupervisedGreedyHash, {"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
        (CIBHash, {"temperature": 0.0}, "temperature must be above 0, bottleneck at least 0, got 0.0 and 0.001"),
        (CIBHash, {"bottleneck": -1.0}, "temperature must be above 0, bottleneck at least 0, got 0.3 and -1.0"),
        (CroVCA, {"rate": -1.0}, "rate must be at least 0, precision above 0, got -1.0 and 0.05"),
        (CroVCA, {"precision": 0.0}, "rate must be at least 0, precision above 0, got 0.1 and 0.0"),
    ],
)
def test_what_cannot_be(kind: type[HashModule], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(kind, **arguments)
