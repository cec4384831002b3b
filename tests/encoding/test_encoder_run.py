"""Devices that share the work of an encoder; what they make of batches is in test_encoding."""

import pytest
import torch

from dqh.encoding import encoder_run


@pytest.mark.parametrize(("device", "count"), [("cpu", 0), ("cpu", 2), ("cuda", 5)])
def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch, device: str, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(
        ValueError, match=rf"devices: got {count}, wanted 1 … [14], the number of {device} devices here"
    ):
        encoder_run.shared_by(torch.device(device), count)


def test_devices_that_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert encoder_run.shared_by(torch.device("cuda:2"), 1) == (torch.device("cuda:2"),)
    assert [str(each) for each in encoder_run.shared_by(torch.device("cuda"), 3)] == ["cuda:0", "cuda:1", "cuda:2"]
