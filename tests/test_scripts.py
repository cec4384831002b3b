"""train.py and evaluate.py as commands: files, exit statuses, messages, resuming."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dqh import files
from dqh.errors import ConfigError
from dqh.locks import locked_file
from dqh.training import Interrupted
from dqh.training.sweep_lock import claimed
from tests.conftest import ROOT, Script
from tests.discovery.conftest import draw_photos

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
    expected = {"config.yaml", "environment.json", "metrics.csv", "metrics.json", "report.html", "split.json"}
    expected |= {"artifact", "checkpoints", "queries.npz", "untrained", "without_h"}
    assert {path.name for path in folder.iterdir()} == expected
    assert (folder / "config.yaml").read_text().startswith("# python ")
    assert Pictures((folder / "report.html").read_text()).count == 10 * 11
    lines = trained.out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["binary", "exhaustive", "coarse_to_fine"]
    assert "epoch 2/2" in trained.err
    assert "images/s ETA" in trained.err
    assert "\r" not in trained.err  # not a terminal: whole lines

    section = (ROOT / "README.md").read_text().partition("## As a library")[2]
    library = section.partition("```python\n")[2].partition("```")[0]
    found: dict[str, Any] = {}
    exec(compile(library, "README.md", "exec"), found)
    assert found["fine"].ids[:, 0].tolist() == [0, 1, 2, 3, 4]  # each image finds itself

    evaluated = script("evaluate.py")
    assert evaluated.status == 0, evaluated.err
    assert (tmp_path / "runs" / "latest").resolve() == folder
    (other,) = (path for path in folder.parent.iterdir() if "_evaluate_dlbhc_digits_16" in path.name)
    before, after = (json.loads((each / "metrics.json").read_text()) for each in (folder, other))
    assert "train.py backbone.width=4" in before["environment"]["command"]
    assert after.pop("environment")["command"].endswith("evaluate.py")
    assert before.pop("environment")["seed"] == 0
    assert set(before.pop("ranking")) == {"choice", "reason"}  # chosen once, at the end of the training
    assert before["training"]["seed"] == after["training"]["seed"] == 0
    for metrics in (before, after):
        for row in metrics["rows"][:3]:
            assert row.pop("query_ms") > 0
            assert row.pop("qps") > 0
    assert before == after
    assert Pictures((other / "report.html").read_text()).count == 10 * 11


@pytest.mark.slow
def test_other_processes_evaluate_to_the_same_numbers(script: Script, tmp_path: Path) -> None:
    assert script("train.py", *QUICK, "without_h=none").status == 0
    found: list[Any] = []
    for number, options in enumerate(([], ["executor=local", "workers=1", "partitions=3"])):
        evaluated = script("evaluate.py", f"runs=runs{number}", *options)
        assert evaluated.status == 0, evaluated.err
        (folder,) = (tmp_path / f"runs{number}").glob("*/*_evaluate_dlbhc_digits_16")
        metrics = json.loads((folder / "metrics.json").read_text())
        del metrics["environment"]
        for row in metrics["rows"][:3]:
            assert row.pop("query_ms") > 0
            assert row.pop("qps") > 0
        with np.load(folder / "queries.npz") as scores:
            found.append((metrics, {name: values.tobytes() for name, values in scores.items()}))
        assert not list((tmp_path / f"runs{number}").glob("*.parts"))
    assert found[0] == found[1]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    refused = script("evaluate.py", "runs=runs2", "executor=local", "workers=1", "parts=full")
    assert refused.status == 2
    assert "full holds files that are not of a job for runs2" in refused.err
    (tmp_path / "held").mkdir()
    with locked_file(tmp_path / "held" / "job.lock", error=ConfigError, holder="process 7 on elsewhere"):
        refused = script("evaluate.py", "runs=runs2", "executor=local", "workers=1", "parts=held")
    assert refused.status == 2
    assert "held is being written by process 7 on elsewhere; wait until it ends, or name another folder" in refused.err
    assert not (tmp_path / "runs2").exists()  # nothing was begun


def test_mistakes_are_reported_together_before_any_data_is_read(script: Script, tmp_path: Path) -> None:
    result = script(
        "train.py",
        "bits=0",
        "data=mnist",
        "data.root=nowhere",
        "backbone=alexnet",
        "backbone.weights=nowhere.pt",
        "optimizer.learning_rate=1",
        "trainner.epochs=3",
        "+method.dropuot=0.5",
    )
    assert result.status == 2
    assert "Traceback" not in result.err
    for text in (
        "bits must be at least 1, got 0",
        "nowhere/MNIST/raw",
        "data.download=true",
        "backbone: weights: no file at",
        "did you mean optimizer.lr?",
        "trainner: no such key; did you mean trainer?",
        "did you mean method.dropout?",
    ):
        assert text in result.err
    assert list(tmp_path.iterdir()) == []


def test_mistakes_that_only_constructors_judge_are_reported_together_too(script: Script, tmp_path: Path) -> None:
    result = script("train.py", "backbone=alexnet", "backbone.tap=fc77", "search.pool=-1", "trainer.epochs=0")
    assert result.status == 2
    for text in ("got 'fc77'; did you mean 'fc7'?", "pool must be at least 1, got -1", "epochs at least 1, got 0"):
        assert text in result.err
    assert list(tmp_path.iterdir()) == []


WITHOUT_TORCH = (
    ("train.py", "bit=3", "bit=3: no such key; did you mean bits?"),
    ("train.py", "hiden=512", "hiden=512: no such key; did you mean hidden?"),
    ("train.py", "method=itq hidden=512", "hidden: got 512, but dqh.methods.shallow.Shallow does not take it"),
    ("train.py", "trainer.epoch=3", "trainer.epoch: no such key of dqh.training.fit.Fit; did you mean trainer.epochs?"),
    ("train.py", "optimizer.name=adam", 'optimizer.name: got "adam", wanted one of sgd, adamw; did you mean'),
    ("train.py", "bits=0", "method: bits must be at least 1, got 0"),
    ("train.py", "method=dqn bits=33", "method: bits must be a multiple of log2 codewords = 8, got 33"),
    ("train.py", "method=dqn bits=32 split.train=200", "method: dqn needs at least 256 training images"),
    ("train.py", "data=image_folder data.root=nowhere", "data: image folder not found: looked for nowhere"),
    ("train.py", "data=features data.features=a.npy data.labels=b.npy", "data: feature file not found: looked for a"),
    ("train.py", "data=mnist data.root=nowhere", "nowhere/MNIST/raw"),
    ("train.py", "backbone=alexnet backbone.weights=no.pt", "backbone: weights: no file at"),
    ("train.py", "resume=last.ckpt", "resume: no file at"),
    ("train.py", "split.query=5000", "query: 5000 images wanted, 1797 are left to draw from"),
    (
        "train.py",
        "split.protocol=full split.query=null",
        "protocol 'full' needs a source with the roles train and test",
    ),
    ("evaluate.py", "serach.pool=3", "serach: no such key; did you mean search?"),
    ("evaluate.py", "search.pol=3", "search.pol: no such key of dqh.evaluation.retrieval.Retrieval; did you mean"),
    ("evaluate.py", "artifact=nowhere", "no artifact at nowhere"),
    ("evaluate.py", "study=features study.limt=5", "did you mean study.limit?"),
)


@pytest.mark.slow
def test_what_needs_no_network_is_answered_without_torch(tmp_path: Path) -> None:
    """In one process, as a new one takes seconds: torch must not have been imported after any of these."""
    program = f"""
import io, json, logging, runpy, sys
answers = []
for name, arguments, _ in {WITHOUT_TORCH!r}:
    sys.argv, log = [name, *arguments.split()], io.StringIO()
    logging.getLogger().handlers = [logging.StreamHandler(log)]
    status = None
    try:
        runpy.run_path({str(ROOT)!r} + "/" + name, run_name="__main__")
    except SystemExit as end:
        status = end.code
    answers.append([status, "torch" in sys.modules, log.getvalue()])
print(json.dumps(answers))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    for (_, arguments, message), (status, torch, text) in zip(WITHOUT_TORCH, json.loads(answer.stdout), strict=True):
        assert message in text, (arguments, text)
        assert (status, torch) == (2, False), (arguments, text)
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
        ("evaluate.py", [], 2, "no artifact at runs/latest/artifact"),
        ("train.py", ["data=null"], 2, "data=null: wanted the name of a choice, as in data=NAME"),
        ("train.py", ["resume="], 2, "resume: no file at"),
        ("evaluate.py", ["serach.pool=3"], 2, "serach: no such key; did you mean search?"),
        ("evaluate.py", ["split.seed=3"], 2, "the split is the artifact's; leave it out"),
        ("evaluate.py", ["batch_size=0"], 2, "batch_size: got 0, wanted at least 1"),
        ("evaluate.py", ["executor=foo"], 2, "wanted one of local, ray, spark or null"),
        ("evaluate.py", ["executor=local", "partitions=0"], 2, "partitions: got 0, wanted at least 1"),
        ("evaluate.py", ["partitions=3"], 2, "partitions: 3 says nothing without an executor; write executor=local"),
        ("evaluate.py", ["study=features", "executor=local"], 2, "executor=local: a study reads no executor"),
        ("evaluate.py", ["seed=1"], 2, "seed=1: the seed is the artifact's; leave it out"),
        ("evaluate.py", ["study.limit=1"], 2, "study: no kind of study is chosen; write study=features too"),
        ("evaluate.py", ["study=feature"], 2, "no such choice of study; did you mean study=features?"),
        (
            "evaluate.py",
            ["study=features"],
            2,
            "study.networks: no value given, wanted a mapping of names to str or null",
        ),
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


@pytest.mark.slow
def test_help_points_at_the_other_command(script: Script) -> None:
    helped = script("train.py", "--help")
    assert helped.status == 0
    assert "evaluate.py" in helped.out
    assert "backbone: alexnet, identity, mobilenet_v2, resnet101, " in helped.out
    assert "train.py" in script("evaluate.py", "--help").out


@pytest.mark.slow
def test_a_stopped_run_continues_through_latest(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["without_h=none", *QUICK, "trainer.epochs=16", "optimizer.lr_multipliers.encoder.backbone=0.5"]
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
    assert "stopped by SIGTERM" in "".join(heard)
    assert "trainer.epochs=16 optimizer.lr_multipliers.encoder.backbone=0.5 resume=runs/" in "".join(heard)
    folder = (tmp_path / "runs" / "latest").resolve()

    resume = "resume=runs/latest/checkpoints/last.ckpt"
    wrong = script("train.py", resume, *arguments[:-3], arguments[-1])
    assert wrong.status == 2
    assert "bits: 16 in the checkpoint, 48 now" in wrong.err
    assert "bits=16" in wrong.err.splitlines()[-1]

    machine = ("trainer.devices=2", "trainer.device_memory_gb=1", "trainer.compile=false")  # change no result

    def processes(function: object, argument: object, *, count: int) -> None:
        raise Interrupted(signal.SIGTERM, Path(f"of {count} processes"))

    with monkeypatch.context() as patch:
        patch.setattr("dqh.training.fit.in_processes", processes)
        started = script("train.py", resume, *arguments, *machine)
    assert (started.status, "the state is in of 2 processes" in started.err) == (143, True), started.err

    machine = ("trainer.memory_gb=0.5", "trainer.workers=0", "trainer.threads=1", "trainer.profile=true")
    continued = script("train.py", resume, *arguments, *machine)
    assert continued.status == 0, continued.err
    assert "epoch 1/16" not in continued.err
    assert "epoch 16/16" in continued.err
    assert (tmp_path / "runs" / "latest").resolve() == folder
    assert (folder / "report.html").is_file()
    complete = script("train.py", resume, *arguments)
    assert complete.status == 2
    assert "this run is complete, its numbers are in" in complete.err


@pytest.mark.slow
def test_evaluate_searches_as_the_training_did_unless_told(script: Script, tmp_path: Path) -> None:
    trained = script("train.py", *QUICK, "trainer.epochs=1", "search.pool=33", "search.convention=hashnet")
    assert trained.status == 0, trained.err

    def protocols() -> list[dict[str, Any]]:
        files = sorted((tmp_path / "runs").glob("2*/*_evaluate_*/metrics.json"))
        return [json.loads(file.read_text())["protocol"] for file in files]

    assert script("evaluate.py").status == 0
    assert [(each["pool"], each["convention"]) for each in protocols()] == [(33, "hashnet")]
    assert script("evaluate.py", "search.pool=44", "runs=other").status == 0
    (file,) = (tmp_path / "other").glob("2*/*/metrics.json")
    changed = json.loads(file.read_text())["protocol"]
    assert (changed["pool"], changed["convention"]) == (44, "hashnet")


@pytest.mark.slow
def test_a_study_compares_layers_forms_and_distances(script: Script, tmp_path: Path) -> None:
    networks = "study.networks={colour_histogram: null, small_resnet: null}"
    arguments = ["study=features", networks, "study.taps={small_resnet: [stage1, pool]}", "study.size=8"]
    result = script("evaluate.py", *arguments, "study.limit=100", "seed=4", "split.query=200")
    assert result.status == 0, result.err
    (folder,) = (tmp_path / "runs").glob("2*/*_study_digits")
    assert {path.name for path in folder.iterdir()} == {"study.csv", "study.json", "study.md", "study.svg"}
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[2:14]] == ["colour_histogram"] * 4 + ["small_resnet"] * 8
    assert [line.partition("?")[0] for line in lines[15:18]] == ["which layer", "raw or binarised", "L1 or L2"]
    study = json.loads((folder / "study.json").read_text())
    assert (study["protocol"]["query"], study["protocol"]["seed"]) == (100, 4)
    assert "study=features 'study.networks={colour_histogram: null, small_resnet: null}'" in study["command"]
    assert not (tmp_path / "runs" / "latest").exists()


@pytest.mark.slow
def test_a_study_of_crops_compares_regions_and_forms(script: Script, tmp_path: Path) -> None:
    draw_photos(tmp_path, photos=12, queries=4)
    data = ["data=json_boxes", f"data.root={tmp_path}", "data.train=null", "split.validation=null"]
    settings = ["study.networks={colour_histogram: null}", "study.size=8", "study.margins=[]", "seed=4"]
    result = script("evaluate.py", "study=crops", *data, *settings)
    assert result.status == 0, result.err
    (folder,) = (tmp_path / "runs").glob("2*/*_study_*")
    assert {path.name for path in folder.iterdir()} == {"study.csv", "study.json", "study.md", "study.svg"}
    study = json.loads((folder / "study.json").read_text())
    assert (study["protocol"]["query"], study["protocol"]["database"], study["protocol"]["seed"]) == (8, 16, 4)
    assert {(row["query"], row["database"]) for row in study["rows"]} == {
        ("whole photo", "box"),
        *((name, name) for name in ("whole photo", "box", "square")),
    }
    assert "which part of the photo?" in result.out
    result = script("evaluate.py", "study=crops", "data=digits", "study.networks={colour_histogram: null}")
    assert result.status == 2
    assert "data: digits has no boxes; a study of crops wants annotated photos" in result.err


@pytest.fixture
def vectors(tmp_path: Path) -> list[str]:
    """Arguments for 400 vectors of 16 dimensions in four classes."""
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 4
    np.save(tmp_path / "x.npy", (generator.standard_normal((400, 16)) + 2 * np.eye(4, 16)[labels]).astype(np.float32))
    np.save(tmp_path / "y.npy", labels)
    return ["data=features", f"data.features={tmp_path / 'x.npy'}", f"data.labels={tmp_path / 'y.npy'}"]


SMALL = ("study.cutoffs=[1,5]", "study.pools=[5,50]", "study.breadths=[20]", "study.probes=[1,4]")
SMALL = (*SMALL, "study.timed_queries=2")


@pytest.mark.slow
def test_a_study_of_searches_needs_vectors_alone(script: Script, tmp_path: Path, vectors: list[str]) -> None:
    settings = (*SMALL, "study.sizes=[100,300]", "study.codes=[lsh]", "study.bits=8", "seed=4")
    result = script("evaluate.py", "study=search", *vectors, *settings)
    assert result.status == 0, result.err
    (folder,) = (tmp_path / "runs").glob("2*/*_study_search_features")
    pictures = {"study.svg", "study_memory.svg", "study_growth.svg"}
    assert {path.name for path in folder.iterdir()} == {"study.csv", "study.json", "study.md", *pictures}
    study = json.loads((folder / "study.json").read_text())
    assert [row["search"] for row in study["rows"][:9]] == [
        *("exhaustive", "ivf_flat", "ivf_flat", "ivfpq", "ivfpq", "hnsw", "codes", "coarse_to_fine", "coarse_to_fine")
    ]
    assert (study["protocol"]["query"], study["protocol"]["seed"]) == (60, 4)
    assert "how does it grow?" in result.out
    assert all(f"picture   {folder.relative_to(tmp_path) / name}" in result.out for name in pictures)
    unlabelled = [*vectors[:2], "data.labels=null"]
    result = script("evaluate.py", "study=search", *unlabelled, *settings, "runs=other")
    assert result.status == 0, result.err
    assert "mAP" not in result.out


@pytest.mark.slow
def test_a_study_of_searches_reads_an_artifact(script: Script, tmp_path: Path) -> None:
    assert script("train.py", *QUICK).status == 0
    result = script("evaluate.py", "study=search", *SMALL)
    assert result.status == 0, result.err
    (file,) = (tmp_path / "runs").glob("2*/*_study_search_digits/study.json")
    study = json.loads(file.read_text())
    assert {row["codes"] for row in study["rows"]} == {"", "dlbhc"}
    assert study["protocol"]["bits"] == 16
    result = script("evaluate.py", "study=search", "study.bits=8", "split.query=5")
    assert result.status == 2
    assert "split.query=5: that of the artifact counts; leave it out" in result.err
    result = script("evaluate.py", "study=search", "study.bits=8")
    assert result.status == 2
    assert "study.bits: 8 were asked for, but the codes are those of an artifact; leave it out" in result.err


def test_mistakes_of_a_study_of_searches_are_told(script: Script, vectors: list[str]) -> None:
    wrong = ("study.bits=0", "study.pool=[3]", "other_data=true", "search.pool=3", "batch_size=4")
    result = script("evaluate.py", "study=search", *vectors, *wrong)
    assert result.status == 2
    assert "did you mean study.pools?" in result.err
    result = script("evaluate.py", "study=search", *vectors, "study.bits=0", *wrong[2:])
    assert result.status == 2
    for text in (
        "other_data=true: only with an artifact, and none is given; leave it out",
        "search.pool=3: a study of searches reads none; leave it out",
        "batch_size=4: a study of searches reads none; leave it out",
    ):
        assert text in result.err
    result = script("evaluate.py", "study=search", *vectors, "study.pools=[100]", "study.cutoffs=[1,500]")
    assert result.status == 2
    assert "study: pools: 100 is less than the 500 answers that study.cutoffs wants" in result.err
    result = script("evaluate.py", "study=search", *vectors, "study.sizes=[1000]")
    assert result.status == 2
    assert "study.sizes: 1,000 is more than the 340 items of the database; set study.grow=true" in result.err
    result = script("evaluate.py", "study=search")
    assert result.status == 2
    assert "artifact" in result.err


@pytest.mark.slow
def test_mistakes_of_a_study_are_reported_together(script: Script, tmp_path: Path) -> None:
    result = script(
        "evaluate.py",
        "study=features",
        "study.networks={alexnett: null, small_resnet: weights.pt}",
        "study.taps={small_resnet: [stag1]}",
        "study.limt=5",
        "split.query=5000",
        "artifact=here",
        "search.pool=3",
        "batch_size=0",
        "data.root=there",
    )
    assert result.status == 2
    assert "Traceback" not in result.err
    for text in (
        "artifact=here: a study reads no artifact; leave it out",
        "search.pool=3: a study reads no search; leave it out",
        "batch_size: got 0, wanted at least 1",
        "did you mean study.limit?",
        "data.root: no such key",
    ):
        assert text in result.err
    result = script(
        "evaluate.py",
        "study=features",
        "study.networks={alexnett: null, small_resnet: weights.pt}",
        "study.taps={small_resnet: [stag1]}",
    )
    assert result.status == 2
    for text in (
        "no network 'alexnett'; did you mean 'alexnet'?",
        "networks.small_resnet: weights: no file at",
        "taps.small_resnet: no tap 'stag1'; did you mean 'stage1'?",
    ):
        assert text in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(script: Script, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file, no folder")
    result = script("train.py", *QUICK)
    assert result.status == 2
    assert "runs is a file; name a folder" in result.err


TINY = (
    *("backbone.width=4", "trainer.epochs=1", "search.timed_queries=0", "without_h=none"),
    *("split.query=40", "split.train=250", "split.database=300", "split.validation=50"),
)


def test_runs_that_is_a_link_to_nothing_is_told(script: Script, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    told = "link is a symbolic link to 'nowhere', where nothing is; make that folder, or remove the link"
    for arguments in ([], ["--multirun", "seed=0,1"]):
        ended = script("train.py", *arguments, *QUICK, "runs=link")
        assert (ended.status, ended.err.strip()) == (2, told)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["report.html", "metrics.json"])
def test_results_are_told_where_the_disk_is_full(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What was measured is on stdout before files beside it are written; the file is named and the status 1."""
    real = files.atomic_writer

    @contextmanager
    def writer(path: Path) -> Iterator[Any]:
        with real(path) as file:
            yield file
            if path.name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "atomic_writer", writer)
    for program in ("train.py", "evaluate.py"):
        ended = script(program, *(QUICK if program == "train.py" else ("artifact=runs/latest/artifact",)))
        folder = max((tmp_path / "runs").glob("2*/*"), key=lambda path: path.stat().st_ctime_ns)
        assert ended.status == 1, ended.err
        assert "mAP" in ended.out
        assert f"{folder.relative_to(tmp_path) / name}: No space left on device; make room there" in ended.err
        assert not (folder / name).exists()
        assert "report  " not in ended.out


@pytest.mark.slow
def test_a_sweep_survives_a_failed_cell_and_goes_on_where_it_was_stopped(script: Script, tmp_path: Path) -> None:
    first = script("train.py", "--multirun", "bits=0,8", *TINY)
    assert first.status == 1
    assert "Traceback" not in first.err
    assert "1 of 2 cells complete\nbits=0,seed=0 failed: method: bits must be at least 1, got 0" in first.out
    (sweep,) = (each for each in (tmp_path / "runs" / "sweeps").iterdir() if each.is_dir())
    assert sweep.name.startswith("dlbhc_digits_")
    assert (sweep / "bits=0,seed=0" / "error.txt").read_text().startswith("method: bits must be at least 1, got 0\n")
    done, before = sweep / "bits=8,seed=0", (sweep / "bits=8,seed=0" / "metrics.json").read_bytes()
    command = (done / "config.yaml").read_text().partition("\n")[0]
    assert command.endswith("train.py bits=8 " + " ".join(TINY))

    (done / "metrics.json").unlink()  # as if it had been stopped in the evaluation
    again = script("train.py", "--multirun", "bits=8,16", *TINY)
    assert again.status == 0, again.err
    assert again.err.count("epoch 1/1") == 1
    assert (done / "metrics.json").read_bytes() == before
    assert [line.split()[:3] for line in again.out.splitlines()[2:4]] == [
        ["8", "binary", "1"],
        ["8", "exhaustive", "1"],
    ]
    assert (tmp_path / "runs" / "latest").resolve() == sweep / "bits=16,seed=0"
    assert len((sweep / "sweep.csv").read_text().splitlines()) == 1 + 2
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}

    third = script("train.py", "--multirun", "seed=0", "bits=16,8", *TINY)
    assert third.status == 0, third.err
    assert all(line.endswith(", complete") for line in third.err.splitlines())
    assert [line.split()[:2] for line in third.out.splitlines()[2:4]] == [["16", "binary"], ["16", "exhaustive"]]
    alone = script("train.py", "bits=8", *TINY)
    assert alone.status == 0, alone.err
    single = json.loads((tmp_path / "runs" / "latest" / "metrics.json").read_text())
    assert single["rows"] == json.loads(before)["rows"]


@pytest.mark.slow
def test_a_sweep_of_experiments_names_cells_by_their_own_bits(script: Script, tmp_path: Path) -> None:
    """One experiment sets bits: 64, the other keeps 48, one method has bits of its own; every cell fails at once."""

    def cells(prefix: str) -> set[str]:
        (sweep,) = (each for each in (tmp_path / "runs" / "sweeps").iterdir() if each.name.startswith(prefix))
        return {each.name for each in sweep.iterdir() if each.is_dir()}

    script("train.py", "--multirun", "experiment=dlbhc_clothing,overfit", "data.wrong=1")
    expected = {"bits=64,seed=0,experiment=dlbhc_clothing", "bits=48,seed=0,experiment=overfit"}
    assert cells("experiments_") == expected
    script("train.py", "--multirun", "method.bits=0,-1", "data.train=3", "bits=8")
    assert cells("dlbhc_digits_") == {"bits=0,seed=0,method.bits=0", "bits=-1,seed=0,method.bits=-1"}


@pytest.mark.slow
def test_a_second_sweep_in_the_same_folder_is_refused(script: Script, tmp_path: Path) -> None:
    command = ("train.py", "--multirun", "bits=0,-1", "data.train=3")
    assert script(*command).status == 1
    (sweep,) = (each for each in (tmp_path / "runs" / "sweeps").iterdir() if each.is_dir())
    before = {path: path.stat().st_mtime_ns for path in sweep.rglob("*")}
    with claimed(sweep):
        refused = script(*command)
    assert refused.status == 2
    assert f"{sweep.relative_to(tmp_path)} is being written by process {os.getpid()} on " in refused.err
    assert refused.out == ""
    assert {path: path.stat().st_mtime_ns for path in sweep.rglob("*") if path.name != ".lock"} == {
        path: time for path, time in before.items() if path.name != ".lock"
    }
    assert script(*command).status == 1


@pytest.mark.slow
def test_a_signal_stops_the_whole_sweep(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(sweep: object, *, command: str) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    monkeypatch.setattr("dqh.training.sweep_files.write_summary", stopped)
    result = script("train.py", "--multirun", "bits=0,-1", "data.train=3", "seed=1")
    assert result.status == 128 + signal.SIGTERM
    assert result.err.count("failed, see") == 1
    assert "train.py --multirun bits=0,-1 data.train=3 seed=1\n" in result.err
    refused = script("train.py", "--multirun", "bits=8", "resume=runs/last.ckpt")
    assert (refused.status, "resume: belongs to a single run" in refused.err) == (2, True)


@pytest.mark.slow
def test_embeddings_of_any_length_are_hashed_by_one_command(script: Script, tmp_path: Path) -> None:
    """Unit vectors of three classes far from the origin, with one vector twice; classes that L2 mixes up."""
    rng = np.random.default_rng(0)
    labels = np.arange(900) % 3
    vectors = 5 + rng.normal(size=(900, 32))
    vectors[:, :3] += 3 * np.eye(3)[labels]
    vectors[1] = vectors[0]
    labels[1] = labels[0]
    np.save("emb.npy", (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16))
    np.save("labels.npy", labels.astype(np.uint8))
    small = ("split.query=100", "split.validation=100", "search.pool=20", "search.timed_queries=2", "bits=16")
    result = script(
        "train.py",
        "experiment=embeddings",
        "data.features=emb.npy",
        "data.labels=labels.npy",
        "trainer.epochs=50",
        *small,
    )
    assert result.status == 0, result.err
    rows = json.loads((tmp_path / "runs" / "latest" / "metrics.json").read_text())["rows"]
    scores = {row["search"]: row["mAP@all"] for row in rows}
    assert scores["binary"] > 0.85 > 0.75 > scores["exhaustive"]
