"""How far similar images are from one another, and how much too near dissimilar ones."""

from torch import Tensor

from dqh.losses.pairs import Pairs


def contrastive_loss(pairs: Pairs, *, margin: float, balanced: bool = False) -> Tensor:
    """Mean over pairs of ½ d for similar and ½ max(m − d, 0) for dissimilar ones, d = |u − v|²: the objective of DSH.

    Liu, Wang, Shan and Chen, CVPR 2016, §3.1, where m = 2B; the signs of two codes that differ in h bits have d = 4h,
    so that half of the bits of dissimilar images have to differ. Departure: an image and itself are no pair.

    Args:
        pairs: of relaxed codes.
        margin: m, of squared distances, above 0.
        balanced: see `Pairs.mean`.

    Returns:
        Scalar, at least 0; 0 where there is no pair.

    Example:
        >>> import torch
        >>> from dqh.losses.pairs import within
        >>> contrastive_loss(within(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([0, 0, 1])), margin=5.0)
        tensor(1.)
    """
    distances = pairs.distances()
    costs = (margin - distances).clamp(min=0).where(~pairs.similar(), distances)
    return pairs.mean(costs / 2, balanced=balanced)
