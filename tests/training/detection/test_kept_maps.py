"""The maps that are kept are those that the trunk gives, of each view of a photo, with its boxes."""

import torch

from dqh.models import SmallResNet
from dqh.models.detectors.trunk import Trunk
from dqh.training.detection.box_augment import BoxAugment
from dqh.training.detection.fitted_photos import FittedPhotos
from dqh.training.detection.kept_maps import KeptMaps, needed
from dqh.training.detection.photo_views import FrozenViews


def test_kept_maps_are_those_of_the_trunk(small) -> None:
    source = small().source
    photos = FittedPhotos(source, 32, memory_limit=10**6, workers=0)
    photos.load([0, 1, 2, 3, 4])
    views = FrozenViews(photos, BoxAugment(), seed=0)
    trunk = Trunk(SmallResNet(width=4, size=32), maps=2).eval().requires_grad_(requires_grad=False)
    kept = KeptMaps(trunk, views, [0, 1, 2, 3, 4], batch_size=2, device=torch.device("cpu"))
    maps, truths = kept.of([4, 1], [0, 1])
    assert [truth.boxes.tolist() for truth in truths] == [own.boxes.tolist() for own in views.of([4, 1], [0, 1])[1]]
    with torch.inference_mode():
        wanted = trunk(torch.from_numpy(photos.pixels([4, 1], [False, True])))
    for own, other in zip(maps, wanted, strict=True):
        assert own.dtype == torch.float16
        torch.testing.assert_close(own.float(), other, rtol=2e-3, atol=1e-3)  # half precision keeps 11 bits
    assert needed(trunk, 5, views=2) == sum(2 * part.numel() // 2 * 10 for part in maps)
