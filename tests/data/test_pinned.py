"""Dense copies."""

import torch

from dqh.data.pinned import dense


def test_a_crop_becomes_dense_with_channels_last() -> None:
    """2 × 3 images of 5 of 8 pixels: strides 75 = 3 · 5 · 5, 1, 15 = 3 · 5, 3."""
    images = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).view(2, 3, 8, 8)
    crop = images[:, :, 1:6, 2:7]
    copy = dense(crop, pin=False)
    assert copy.stride() == (75, 1, 15, 3)
    assert copy.dtype == torch.uint8
    assert torch.equal(copy, crop)
    copy.zero_()
    assert images.any()


def test_vectors_and_labels_stay_as_they_are() -> None:
    for values in (torch.arange(12.0).view(4, 3)[:, ::2], torch.arange(4)[::2], torch.ones(2, 3, dtype=torch.bool)):
        copy = dense(values, pin=False)
        assert copy.is_contiguous()
        assert copy.dtype == values.dtype
        assert torch.equal(copy, values)
