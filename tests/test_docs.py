"""What the documentation shows works: methods of one's own, and the files and choices that it names."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dqh.training import assemble, run
from tests.conftest import ROOT
from tests.data.marked import json_folder
from tests.detection.conftest import head, network, written
from tests.evaluation.detected import found
from tests.training.conftest import tiny_config

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.slow
def test_the_method_of_the_how_to_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file as the page has it, as a module of its own name; its terms and its argument are known by name."""
    page = (ROOT / "docs" / "own_method.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "balanced.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    config = tiny_config()
    config["method"] = {"_target_": "balanced.Balanced", "bits": 12, "weight": 0.5}
    config["trainer"] |= {"epochs": 1}
    (tmp_path / "run").mkdir()
    try:
        evaluation = run(assemble(config), tmp_path / "run", command="python train.py method=balanced")
    finally:
        sys.modules.pop("balanced", None)
    assert evaluation.metrics["protocol"]["method"] == "balanced"
    assert "train/balance" in (tmp_path / "run" / "metrics.csv").read_text().partition("\n")[0]


@pytest.mark.slow
def test_the_codes_of_the_page_on_product_quantization_are_searched() -> None:
    page = (ROOT / "docs" / "deep_quantization.md").read_text()
    names: dict[str, Any] = {}
    exec("".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)), names)
    assert names["codes"].shape == (2000, 6)
    assert names["ids"].shape == (5, 10)
    assert names["fast"].ntotal == 2000


def test_the_page_on_boxes_reads_maps_measures_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its blocks in their order, with photos of the tests and a detector that finds the first true box of each."""
    root = json_folder(tmp_path / "pascal")
    for role, stems in {"query": "ab", "database": "cd", "train": "c"}.items():
        (root / f"{role}.txt").write_text("".join(f"images/{stem}.jpg\n" for stem in stems))
    (tmp_path / "map.csv").write_text("human,person\nzebra,\n")
    monkeypatch.chdir(tmp_path)
    answers = found([(0, 0.9, 0, 1, 40, 30), (2, 0.8, 0, 0, 9, 9)], [], [(1, 0.9, 5, 5, 20, 25)], [])
    names: dict[str, Any] = {
        "detector": SimpleNamespace(classes=("cow", "human", "zebra"), detect=lambda _: answers),
        "images": None,
        "rows": np.arange(4),
    }
    page = (ROOT / "docs" / "detection_data.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(block, names)
    assert {row.name: row.ar for row in names["result"].classes} == {"person": 0.5, "cow": 0.5}
    assert names["found"].valid.sum() == 2
    assert names["picture"].startswith("<svg")


def test_the_page_on_detectors_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dqh: Callable[..., tuple[int, str, str]]
) -> None:
    """Its commands, and then its program, by a network that sees a horse of 16, 16, 48, 48 in 64 × 64 pixels."""
    page = (ROOT / "docs" / "detectors.md").read_text()
    row = np.zeros(85)
    row[4], row[5 + 17] = 1, 0.75
    written(network(head({83: row.tolist()}, classes=80)), tmp_path / "yolox_nano.onnx")
    Image.new("RGB", (128, 128)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    dqh (.*)", page, flags=re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["detector", "info", "verify"]
    for command in commands:
        assert dqh(*command.split())[0] == 0
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    told: list[tuple[object, ...]] = []
    exec(code, {"print": lambda *words: told.append(words)})
    assert told == [("horse", 0.75, [32, 32, 96, 96])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [each for each in targets if "://" not in each and not (page.parent / each).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_headings(page: Path) -> None:
    """A place within a page is its heading in lower case, with hyphens for spaces and without punctuation."""
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text())
    for target, place in links:
        text = (page.parent / target if target else page).read_text()
        headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
        assert place in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_choices_in_commands_exist(page: Path) -> None:
    """`group=name` in a command names a file of conf/, or a method that the page itself makes."""
    text = page.read_text()
    groups = {folder.name for folder in (ROOT / "conf").iterdir() if folder.is_dir()}
    commands = re.findall(r"(?:train|evaluate)\.py[^\n`]*(?:\\\n[^\n`]*)*", text)
    unknown = [
        f"{group}={name}"
        for command in commands
        for group, names in re.findall(r"(?<![\w.])(\w+)=([\w,]+)(?![\w/.])", command)
        if group in groups
        for name in names.split(",")
        if not (ROOT / "conf" / group / f"{name}.yaml").exists() and f"conf/{group}/{name}.yaml" not in text
        if not name.isupper()
    ]
    assert unknown == []


@pytest.mark.slow
def test_the_program_of_the_page_on_several_machines_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    script = tmp_path / "lengths.py"
    script.write_text(code)
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (ended.stderr, sorted(ended.stdout.splitlines())) == ("", ["0 4", "1 6"])


def test_the_page_on_clustering_works() -> None:
    """Its programs in their order, on random vectors."""
    page = (ROOT / "docs" / "clustering.md").read_text()
    names: dict[str, Any] = {"print": lambda *words: None}
    exec("".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)), names)
    assert names["clusters"].labels_.shape == (5000,)
    assert names["binary"].sizes_.sum() == names["product"].sizes_.sum() == 5000
