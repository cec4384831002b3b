"""train.py and evaluate.py as commands: files, exit statuses, messages, resuming."""

import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Script

QUICK = ("backbone.width=4", "trainer.epochs=2", "search.timed_queries=2", "bits=16")


class Pictures(HTMLParser):
    """Counts the images of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.count = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += tag == "img"


def test_train_then_evaluate_gives_the_same_numbers(script: Script, tmp_path: Path) -> None:
    trained = script("train.py", *QUICK)
    assert trained.status == 0, trained.err
    folder = (tmp_path / "runs" / "latest").resolve()
    assert folder.name.endswith("_dlbhc_digits_16")
    assert folder.parent.parent == tmp_path / "runs"
    expected = {"artifact", "checkpoints", "config.yaml", "metrics.csv", "metrics.json", "report.html"}
    assert {path.name for path in folder.iterdir()} == expected
    assert (folder / "config.yaml").read_text().startswith("# python ")
    assert Pictures((folder / "report.html").read_text()).count == 10 * 11
    lines = trained.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["binary", "exhaustive", "coarse_to_fine"]
    assert "epoch 2/2" in trained.err
    assert "images/s ETA" in trained.err
    assert "\r" not in trained.err  # not a terminal: whole lines

    library = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    found: dict[str, Any] = {}
    exec(compile(library, "README.md", "exec"), found)
    assert found["fine"].ids[:, 0].tolist() == [0, 1, 2, 3, 4]  # each image finds itself

    evaluated = script("evaluate.py")
    assert evaluated.status == 0, evaluated.err
    assert (tmp_path / "runs" / "latest").resolve() == folder
    (other,) = (path for path in folder.parent.iterdir() if "_evaluate_dlbhc_digits_16" in path.name)
    before, after = (json.loads((each / "metrics.json").read_text()) for each in (folder, other))
    for metrics in (before, after):
        for row in metrics["rows"]:
            assert row.pop("query_ms") > 0
            assert row.pop("qps") > 0
    assert before == after
    assert Pictures((other / "report.html").read_text()).count == 10 * 11


def test_mistakes_are_reported_together_before_any_data_is_read(script: Script, tmp_path: Path) -> None:
    result = script(
        "train.py",
        "bits=0",
        "data=mnist",
        "data.root=nowhere",
        "backbone=alexnet",
        "backbone.tap=fc77",
        "optimizer.learning_rate=1",
        "search.pool=-1",
        "trainner.epochs=3",
        "+method.dropuot=0.5",
    )
    assert result.status == 2
    assert "Traceback" not in result.err
    for text in (
        "bits must be at least 1, got 0",
        "nowhere/MNIST/raw",
        "data.download=true",
        "got 'fc77'; did you mean 'fc7'?",
        "did you mean optimizer.lr?",
        "pool must be at least 1, got -1",
        "trainner: no such key; did you mean trainer?",
        "did you mean method.dropout?",
    ):
        assert text in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "arguments", "status", "message"),
    [
        ("train.py", ["data=digit"], 2, "data=digit: no such choice of data; did you mean data=digits?"),
        ("train.py", ["bit=3"], 2, "bit=3: no such key; did you mean bits?"),
        ("train.py", ["split.query=5000"], 2, "5000 images wanted, 1797 are left"),
        ("train.py", ["data=image_folder"], 2, "data.root: no value given, wanted str or a path; write data.root="),
        ("train.py", ["backbone=identity"], 2, "identity takes vectors, digits has images"),
        ("train.py", ["resume=runs/none.ckpt"], 2, "resume: no file at"),
        ("evaluate.py", [], 1, "no artifact at runs/latest/artifact"),
        ("evaluate.py", ["serach.pool=3"], 2, "serach: no such key; did you mean search?"),
        ("evaluate.py", ["split.seed=3"], 2, "the split is the artifact's; leave it out"),
        ("evaluate.py", ["batch_size=0"], 2, "batch_size: got 0, wanted at least 1"),
    ],
)
def test_a_mistake_ends_with_a_clear_line(
    script: Script, tmp_path: Path, name: str, arguments: list[str], status: int, message: str
) -> None:
    result = script(name, *arguments)
    assert message in result.err
    assert result.status == status
    assert "Traceback" not in result.err
    assert list(tmp_path.iterdir()) == []


def test_help_points_at_the_other_command(script: Script) -> None:
    helped = script("train.py", "--help")
    assert helped.status == 0
    assert "evaluate.py" in helped.out
    assert "backbone: alexnet, identity, mobilenet_v2, resnet18, resnet50, small_resnet" in helped.out
    assert "train.py" in script("evaluate.py", "--help").out


def test_a_stopped_run_resumes_with_the_command_that_it_printed(script: Script, tmp_path: Path) -> None:
    arguments = ["backbone.width=4", "trainer.epochs=400", "search.timed_queries=0", "bits=8"]
    with subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        heard = []
        for line in process.stderr:
            heard.append(line)
            if line.startswith("epoch 2/"):
                process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    text = "".join(heard)
    assert "stopped by SIGTERM" in text
    checkpoint = tmp_path / "runs" / "latest" / "checkpoints" / "last.ckpt"
    assert checkpoint.is_file()
    assert "continue with: python " in text
    wrong = script("train.py", f"resume={checkpoint}", *arguments[:-1])
    assert wrong.status == 2
    assert "bits: 8 in the checkpoint, 48 now" in wrong.err
    assert "bits=8" in wrong.err.splitlines()[-1]


def test_two_runs_in_one_second_get_two_folders(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train.py"), *QUICK]
    processes = [subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    (day,) = (path for path in (tmp_path / "runs").iterdir() if not path.is_symlink())
    assert len(list(day.iterdir())) == 2
    assert time.strftime("%Y") in day.name
