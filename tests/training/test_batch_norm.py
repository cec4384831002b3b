"""Batch normalisation in one process; across processes it is tested beside `gather`."""

import pytest
import torch
from torch import nn

from dqh.models import ResNet18, SmallResNet
from dqh.training.batch_norm import SharedBatchNorm, share_batch_norm


@pytest.mark.parametrize("make", [lambda: SmallResNet(width=4), lambda: ResNet18(tap="pool5", size=32)])
def test_a_network_keeps_its_weights_statistics_and_output(make) -> None:
    network = make()
    before = network.state_dict()
    images = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        wanted = network.eval()(images)
    share_batch_norm(network)
    after = network.state_dict()
    assert all(value.data_ptr() == after[name].data_ptr() for name, value in before.items())
    assert any(isinstance(child, SharedBatchNorm) for child in network.modules())
    assert not any(type(child) is nn.BatchNorm2d for child in network.modules())
    with torch.no_grad():
        assert torch.equal(network(images), wanted)
        network.train()(images)
    assert int(next(value for name, value in after.items() if "num_batches_tracked" in name)) == 1
