"""True and found boxes for the tests of detection."""

import numpy as np

from dqh.data.boxes import Boxes
from dqh.detection.detections import Detections


def true(*rows):
    """The true boxes of a photo; each is (class, x0, y0, x1, y1), and perhaps whether it is difficult."""
    return Boxes(
        np.array([row[1:5] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[0] for row in rows], np.int64),
        np.array([bool(row[5:] and row[5]) for row in rows], np.bool_),
    )


def found(*photos):
    """What was found in photos; each box is (class, score, x0, y0, x1, y1), by falling score."""
    most = max([1, *map(len, photos)])
    empty = Detections(
        np.zeros((len(photos), most, 4), np.float32),
        np.zeros((len(photos), most), np.float32),
        np.full((len(photos), most), -1, np.int64),
        np.zeros((len(photos), most), np.bool_),
    )
    for place, rows in enumerate(photos):
        for rank, (number, score, *corners) in enumerate(rows):
            empty.boxes[place, rank], empty.scores[place, rank] = corners, score
            empty.classes[place, rank], empty.valid[place, rank] = number, True
    return empty


def scene(seed, *, photos=12, classes=4, difficult=0.2):
    """Random photos of 100 × 100: found boxes are true ones, moved a little, of the right class mostly, and others."""
    rng = np.random.default_rng(seed)

    def corners():
        x0, y0 = rng.integers(0, 80, 2)
        return [float(x0), float(y0), float(x0 + rng.integers(4, 40)), float(y0 + rng.integers(4, 40))]

    truth, detections = [], []
    for _ in range(photos):
        rows = [
            (int(rng.integers(0, classes)), *corners(), rng.random() < difficult) for _ in range(rng.integers(0, 7))
        ]
        near = [
            (
                row[0] if rng.random() < 0.8 else int(rng.integers(0, classes)),
                float(np.float32(rng.random())),
                *(np.array(row[1:5]) + rng.integers(-3, 4, 4) * [1, 1, 0, 0]),
            )
            for row in rows * 2
        ]
        others = [(int(rng.integers(0, classes)), float(np.float32(rng.random())), *corners()) for _ in range(4)]
        truth.append(true(*rows))
        detections.append(sorted([*near, *others], key=lambda row: -row[1]))
    return truth, found(*detections)
