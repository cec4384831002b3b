"""Heads of several lengths on one backbone: what each sees, and what reaches the backbone."""

import pytest
import torch
from torch import nn

from dqh.methods.csq import CSQ
from dqh.methods.dlbhc import DLBHC
from dqh.methods.orthohash import OrthoHash
from dqh.models import Identity, SmallResNet
from dqh.training import Optimizer
from dqh.training.module import TrainingBatch
from dqh.training.shared_backbone import MeanGradient, name_of_weight, take_units


def test_names_are_those_of_one_length() -> None:
    names = ["bits_16.classifier.weight", "classifier.weight", "encoder.bits_16.weight"]
    assert [name_of_weight(name) for name in names] == [names[1], names[1], names[2]]


def test_the_backbone_follows_the_mean_of_the_gradients() -> None:
    """Features 2w of one weight w = 3; losses 5f and 7f: d/dw of their mean is 2 · (5 + 7) / 2 = 12."""
    backbone = nn.Linear(1, 1, bias=False)
    nn.init.constant_(backbone.weight, 3.0)
    backbone.register_forward_hook(MeanGradient(2))
    features = backbone(torch.tensor([[2.0]]))
    assert features.item() == 6.0
    (5 * features + 7 * features).sum().backward()
    assert backbone.weight.grad is not None
    assert backbone.weight.grad.item() == 12.0


def several(backbone: Identity | SmallResNet, *bits: int) -> DLBHC:
    modules = [DLBHC(backbone, 10, bits=b, optimizer=Optimizer(lr_multipliers={"classifier.weight": 5})) for b in bits]
    modules[0].add_lengths(*modules[1:])
    return modules[0]


def test_the_terms_of_each_length_are_those_that_it_has_alone() -> None:
    torch.manual_seed(0)
    module = several(SmallResNet(width=4, size=16), 16, 8, 12).eval()
    images, labels = torch.randint(256, (6, 3, 16, 16), dtype=torch.uint8), torch.arange(6)
    with torch.no_grad():
        found = module.training_step(TrainingBatch(images, labels, labels), 0)
        features = module.encoder(images).features
    assert found is not None
    assert list(module.others) == [8, 12]
    for bits, other in module.others.items():
        head, classifier = other.encoder.head, other.classifier
        assert classifier is not None
        alone = nn.functional.cross_entropy(classifier(head(features)), labels)
        assert float(found[f"cross_entropy_{bits}"]) == pytest.approx(float(alone), rel=1e-5)
    terms = [found["cross_entropy"], found["cross_entropy_8"], found["cross_entropy_12"]]
    assert float(found["loss"]) == pytest.approx(float(sum(terms)), rel=1e-5)


def test_a_step_of_vectors_is_that_of_the_main_length() -> None:
    torch.manual_seed(0)
    module = several(Identity(size=5), 16, 8)
    vectors, labels = torch.randn(6, 5), torch.arange(6)
    found = module.training_step(TrainingBatch(vectors, labels, labels), 0)
    assert found is not None
    assert found.keys() == {"loss", "cross_entropy"}
    assert (list(module.others), module.beside, module.others_follow) == ([8], {}, True)


def test_a_shorter_length_takes_every_nth_unit_and_a_longer_one_keeps_the_rest() -> None:
    torch.manual_seed(0)
    main = several(Identity(size=5), 4, 2, 8)
    shorter, longer = main.others[2], main.others[8]
    before = {name: value.clone() for name, value in longer.state_dict().items()}
    shorter.start_from(main)
    longer.start_from(main)
    own = main.state_dict()
    for name, units in (("encoder.head.linear.weight", 0), ("encoder.head.linear.bias", 0), ("classifier.weight", 1)):
        few, many = shorter.state_dict()[name], longer.state_dict()[name]
        assert torch.equal(few, own[name].index_select(units, torch.tensor([0, 2])))
        assert torch.equal(many.index_select(units, torch.tensor([0, 2, 4, 6])), own[name])
        others = torch.tensor([1, 3, 5, 7])
        assert torch.equal(many.index_select(units, others), before[name].index_select(units, others))
    assert torch.equal(longer.state_dict()["classifier.bias"], own["classifier.bias"])


def test_a_further_length_begins_with_the_hidden_layer_of_the_main_one() -> None:
    """Whole, also where it is as wide as a code is long: its units are no bits."""
    torch.manual_seed(0)
    main, other = (DLBHC(Identity(size=5), 10, bits=bits, optimizer=Optimizer(), hidden=8) for bits in (8, 4))
    main.add_lengths(other)
    own = main.encoder.head.norm
    with torch.no_grad():
        own.weight.copy_(torch.arange(8.0))
    other.start_from(main)
    assert torch.equal(other.encoder.head.first.weight, main.encoder.head.first.weight)
    assert torch.equal(other.encoder.head.norm.weight, own.weight)
    assert torch.equal(other.encoder.head.linear.weight, main.encoder.head.linear.weight[[0, 2, 4, 6]])
    assert other.encoder.head.first.weight.data_ptr() != main.encoder.head.first.weight.data_ptr()


@pytest.mark.parametrize("kind", [CSQ, OrthoHash])
def test_codes_of_the_classes_stay_those_of_the_length(kind: type[CSQ] | type[OrthoHash]) -> None:
    """Bits 0, 2, 4 … of rows of a Hadamard matrix are the same for two rows each."""
    main, other = (kind(Identity(size=5), 40, bits=bits, optimizer=Optimizer()) for bits in (64, 32))
    assert main.classifier is not None
    assert other.classifier is not None
    centres = other.classifier.weight.clone()
    main.add_lengths(other)
    other.start_from(main)
    assert torch.equal(other.classifier.weight, centres)
    assert len(main.classifier.weight[:, ::2].unique(dim=0)) < len(centres.unique(dim=0)) == 40
    assert torch.equal(other.encoder.head.linear.weight, main.encoder.head.linear.weight[::2])


def test_units_of_squares_scalars_and_other_sizes() -> None:
    """Of five units 0, 1 and 3; of a square in both directions."""
    given = {"line": torch.arange(5.0), "square": torch.arange(25.0).view(5, 5), "one": torch.tensor(7.0)}
    few = {"line": torch.zeros(3), "square": torch.zeros(3, 3), "one": torch.tensor(0.0), "other": torch.ones(2)}
    take_units(few, given | {"other": torch.zeros(4)}, bits=(3, 5))
    assert few["line"].tolist() == [0, 1, 3]
    assert few["square"].tolist() == [[0, 1, 3], [5, 6, 8], [15, 16, 18]]
    assert (few["one"].item(), few["other"].tolist()) == (7, [1, 1])
    many = {name: torch.full_like(value, -1) for name, value in given.items()}
    take_units(many, few, bits=(5, 3))
    assert many["line"].tolist() == [0, 1, -1, 3, -1]
    assert many["square"][3].tolist() == [15, 16, -1, 18, -1]
    assert many["square"][2].tolist() == [-1] * 5


def test_learning_rates_hold_for_all_lengths() -> None:
    module = several(Identity(size=5), 16, 8)
    groups = module.optimizer.groups(module)
    rates = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    assert module.classifier is not None
    assert module.others[8].classifier is not None
    fast = {rates[id(part.classifier.weight)] for part in (module, module.others[8]) if part.classifier}
    slow = {rates[id(part.encoder.head.linear.weight)] for part in (module, module.others[8])}
    assert (fast, slow) == ({0.5}, {0.1})
