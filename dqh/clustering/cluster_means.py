"""Where centres go: to the means of their points."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def cluster_means(
    centres: NDArray[np.float32], sums: NDArray[np.float64], populations: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """Means (k, D) by the sums (k, D) and the numbers (k,) of points; a centre without points stays where it is."""
    means = sums / np.maximum(populations, 1)[:, None]
    return np.where(populations[:, None] > 0, means, centres).astype(np.float32)
