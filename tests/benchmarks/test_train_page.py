"""The page of the training benchmark, from results that are made up."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

EMPTY: dict[str, Any] = {
    "command": "python benchmarks/train.py --root DIR",
    "load": "nothing",
    "threads": 2,
    "environment": {
        "date": "2026-01-02T03:04:05+00:00",
        "machine": {"cpu": "A CPU", "gpus": [], "usable_cores": 2, "python": "3.12.3"},
        "versions": {"dqh": "0.1.0", "torch": "2.11.0", "pytorch-lightning": "2.6.6", "faiss-cpu": "1.15.1"},
    },
    "scale": {"side": 64, "images": 64},
    "seconds": {},
    "no time left": [],
    "failed": {},
}
RECIPE = {
    "loop_seconds": 13.5,
    "warm_up_seconds": 30.0,
    "wall_seconds": 90.0,
    "waiting_seconds": 0.1,
    "images_per_s": 90_000.4,
    "train_images": 50_000,
    "epochs": 24,
    "memory_gb": 6.5,
    "mAP@all": 0.9312,
    "accuracy": 0.9341,
    "class_index": 0.8821,
}
NETWORK = {
    "images_per_s": 2500.0,
    "encoding_images_per_s": 2000.0,
    "memory_gb": 40.5,
    "recipe_images": 1_600_000,
    "precision": "bf16-mixed",
    "compiled": True,
}


@pytest.fixture
def page(benchmark_module: Callable[[str], ModuleType]) -> Callable[..., str]:
    module = benchmark_module("train_page")
    return lambda device, **found: module.page(EMPTY | {"device": device} | found)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_not_measured_says_so(page: Callable[..., str], device: str) -> None:
    """Two recipes, the plain loop, the share of kernels, metrics, six networks and the bare pass."""
    assert page(device).count("not measured") == 12


def test_a_recipe_says_how_far_its_map_is_from_the_accuracy(page: Callable[..., str]) -> None:
    """.9312 − .9341 = −.0029."""
    text = page("cuda", **{"recipe 15 s": RECIPE})
    assert "| 15 s | 13.5 | 30.0 | 90.0 | 0.1 | 90,000 | 6.5 | 0.9312 | 0.9341 | -0.0029 | 0.8821 |\n" in text
    reduced = page("cpu", **{"recipe 15 s": RECIPE})
    assert "| 15 s, one GPU | not measured |" in reduced
    assert "| 15 s, reduced: 50,000 images, 24 epochs, cpu | 13.5 |" in reduced


def test_networks_have_memory_and_the_least_hours_of_the_paper(page: Callable[..., str]) -> None:
    """1,600,000 images at 2,500 a second: 640 s, .18 hours; and .5 and .4 of a bare pass at 5,000."""
    found = {"dlbhc resnet50": NETWORK | {"files_images_per_s": 2000.0}, "bare resnet50": {"compiled": 5000.0}}
    text = page("cuda", **found)
    assert "| dlbhc, resnet50, bf16-mixed, compiled | 2,500 | 2,000 | 2,000 | 40.5 | 0.18 |\n" in text
    assert "| compiled | 5,000 | 0.50 | 0.40 |\n" in text


def test_kernels_and_metrics_of_a_gpu(page: Callable[..., str]) -> None:
    plain = {
        "images": 25_000,
        "epochs": 2,
        "ours_images_per_s": [90_000.0],
        "plain_images_per_s": [9000.0],
        "ratio": 10.0,
        "kernels": {"share": 0.913, "steps": 50, "waits_per_step": 0.06},
    }
    text = page(
        "cuda",
        **{"against the plain loop": plain, "metrics": {"queries": 10_000, "database": 50_000, "seconds": 0.08}},
    )
    assert "| one GPU | 90,000 | 9,000 | 10.0 × |" in text
    assert "run in 91.3 % of the wall time of the loop (torch.profiler, 50 steps" in text
    assert "10,000 queries × 50,000 items: 0.08 s.\n" in text


def test_parts_without_time_and_parts_that_failed_are_named(page: Callable[..., str]) -> None:
    text = page("cuda", **{"no time left": ["dqn alexnet"], "failed": {"metrics": "RuntimeError: no memory"}})
    assert "No time was left for: dqn alexnet." in text
    assert "Failed: metrics: RuntimeError: no memory" in text
