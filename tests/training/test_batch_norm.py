"""Batch normalisation in one process; across processes it is tested beside `gather`."""

import copy

import pytest
import torch
from torch import Tensor, nn

from dqh.errors import ConfigError
from dqh.models import ResNet18, SmallResNet
from dqh.models.timm_adapter import Timm
from dqh.training import batch_norm
from dqh.training.batch_norm import SharedBatchNorm, require_shareable, share_batch_norm

NETWORKS = [
    pytest.param(lambda: SmallResNet(width=4), id="small_resnet"),
    pytest.param(lambda: ResNet18(tap="pool5", size=32), id="resnet18"),
    pytest.param(lambda: Timm(model="test_efficientnet", size=32), id="timm"),  # its norms hold the activations
]


class Scaled(nn.BatchNorm1d):
    """Does what nobody knows of behind the norm."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * super().forward(images)


class EvoNorm(nn.Module):
    """Statistics of the batch outside of torch's classes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_var", torch.ones(3))


@pytest.mark.parametrize("make", NETWORKS)
def test_a_network_keeps_its_weights_statistics_and_output(make) -> None:
    network = make()
    before, kinds = network.state_dict(), [type(child) for child in network.modules()]
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        wanted = network.eval()(images)
    share_batch_norm(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(value.data_ptr() == after[name].data_ptr() for name, value in before.items())
    assert any(isinstance(child, SharedBatchNorm) for child in network.modules())
    assert not any(type(child) is nn.BatchNorm2d for child in network.modules())
    assert all(isinstance(child, kind) for child, kind in zip(network.modules(), kinds, strict=True))
    with torch.no_grad():
        assert torch.equal(network(images), wanted)
        network.train()(images)
    assert int(next(value for name, value in after.items() if "num_batches_tracked" in name)) == 1


@pytest.mark.parametrize("make", NETWORKS)
def test_two_processes_with_the_same_images_train_as_one_of_them(make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean and variance of twice the images are those of the images. Sums of float32 in another order: 1e-4."""
    torch.manual_seed(0)
    network, images = make().train(), torch.randn(8, 3, 32, 32)
    shared = copy.deepcopy(network)
    share_batch_norm(shared)
    monkeypatch.setattr(batch_norm, "count", lambda: 2)
    monkeypatch.setattr(batch_norm, "total", lambda values: 2 * values)
    torch.manual_seed(1)  # for what drops
    wanted = network(images)
    torch.manual_seed(1)
    found = shared(images)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_what_is_shared_is_shared_once_and_the_network_itself_may_be_a_norm() -> None:
    norm = nn.BatchNorm1d(3)
    share_batch_norm(norm)
    kind = type(norm)
    share_batch_norm(norm)
    assert type(norm) is kind
    assert isinstance(copy.deepcopy(norm), SharedBatchNorm)


@pytest.mark.parametrize("norm", [Scaled(3), EvoNorm()])
def test_a_norm_that_is_not_known_is_refused(norm: nn.Module) -> None:
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(norm))
    name = type(norm).__name__
    message = rf"^backbone: its 1\.0 is a {name}, .*; write trainer\.devices=1$"
    with pytest.raises(ConfigError, match=message):
        require_shareable(network)
    with pytest.raises(ConfigError, match=message):
        share_batch_norm(network)
    assert type(network[0]) is nn.BatchNorm1d
