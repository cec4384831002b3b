"""What the documentation shows works: methods of one's own, and the files and choices that it names."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dqh.training import assemble, run
from tests.conftest import ROOT
from tests.training.conftest import tiny_config

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [each for each in targets if "://" not in each and not (page.parent / each).exists()] == []


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
