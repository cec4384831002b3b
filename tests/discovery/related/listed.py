"""Lessons that are made up: one feature that says which candidate is better, one that is noise."""

import numpy as np

from dqh.discovery.related.lessons import Lessons


def made(*, queries: int = 200, width: int = 10, power: float = 1.0, chance: float = 0.0, seed: int = 0) -> Lessons:
    """Lists in which place r is looked at with r^-power, and the order shown follows the noise, with some chance."""
    generator = np.random.default_rng(seed)
    good, noise = generator.random((2, queries, width))
    order = np.argsort(-noise - chance * generator.random((queries, width)), axis=1)
    position = np.empty((queries, width), np.int64)
    np.put_along_axis(position, order, np.arange(1, width + 1)[None], axis=1)
    looked = position.astype(float) ** -power
    saved = generator.random((queries, width)) < 0.8 * good**2 * looked
    number = np.arange(queries * width)
    shown = (number.reshape(queries, width)[np.arange(queries)[:, None], order]).ravel()
    owner = np.repeat(np.arange(queries), width)
    features = np.stack([good.ravel(), noise.ravel()], axis=1)
    saves, views = saved.ravel().astype(float), looked.ravel()
    lists = (owner, position.ravel()[shown], saved.ravel()[shown])
    return Lessons(features, owner, number, owner, saves, views, views**2, shown, *lists)
