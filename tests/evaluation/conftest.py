"""Devices that the metrics run on."""

import pytest
import torch


@pytest.fixture(
    params=[
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here"),
        ),
    ]
)
def device(request: pytest.FixtureRequest) -> str:
    """Each device in turn."""
    return str(request.param)
