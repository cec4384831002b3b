"""What every method keeps to, each trained shortly through the public API: found by its file and its yaml."""

import inspect
import math
import os
import re
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf

from dqh.artifact import Artifact, load_artifact, read_manifest, verify_golden
from dqh.config import signature_in_file
from dqh.data import Digits
from dqh.errors import ConfigError
from dqh.evaluation import Evaluation
from dqh.models import EncoderOutput
from dqh.quantizers import QUANTIZERS
from dqh.training import Experiment, HashModule, assemble, run
from dqh.training.closed_form import ClosedForm
from dqh.training.module import TrainingBatch
from tests.conftest import ROOT
from tests.training.conftest import tiny_config

YAMLS = {path.stem: OmegaConf.load(path) for path in sorted(Path(ROOT, "conf", "method").glob("*.yaml"))}

TARGETS = {name: yaml["_target_"] for name, yaml in YAMLS.items() if "_target_" in yaml}
"""The class of each method that makes codes, by the name of its yaml."""

DETECTORS = {name: yaml["method"]["_target_"] for name, yaml in YAMLS.items() if "_target_" not in yaml}
"""That of each detector, whose yaml chooses more than the method; what they keep to is in `test_detectors`."""

METHODS = list(TARGETS)
TRAINED = [name for name in METHODS if not issubclass(get_class(TARGETS[name]), ClosedForm)]
"""Those that a gradient trains."""

SMALL = {"codewords": 16, "dimension": 16}
"""What fits 200 training images and 16 bits, of arguments that some methods have."""

PAGE = ROOT / "docs" / "own_method.md"


class Fitted(NamedTuple):
    """A method after a training of one epoch."""

    experiment: Experiment
    evaluation: Evaluation
    artifact: Artifact
    folder: Path


def small_experiment(name: str, *given: str, lengths: list[int] | None = None) -> Experiment:
    """The method of a yaml on 240 digits, 16 bits, or several lengths; `given` as on the command line."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        composed = compose("train", [f"method={name}", "bits=16", *given])
    method = OmegaConf.to_container(composed["method"], resolve=True)
    method |= {key: value for key, value in SMALL.items() if key in signature_in_file(method["_target_"])}
    method |= {} if lengths is None else {"lengths": lengths}
    trainer = tiny_config()["trainer"] | {"epochs": 1, "threads": 1}
    return assemble(tiny_config() | {"method": method, "trainer": trainer})


@pytest.mark.parametrize("name", [name for name in TRAINED if "hidden" in signature_in_file(TARGETS[name])])
def test_a_hidden_layer_learns(name: str) -> None:
    """Of every method that takes `hidden`: its yaml hands it on, and `noise`."""
    module = small_experiment(name, "hidden=8", "noise=0.5").method
    vectors, labels = torch.randn(20, module.encoder.backbone.dimension), torch.arange(20) % 10
    module.train()
    output = EncoderOutput(module.encoder.head(vectors), vectors)
    torch.stack(list(module.losses(output, labels).values())).sum().backward()
    assert (module.encoder.head.hidden, module.encoder.head.noise) == (8, 0.5)
    assert module.encoder.head.first.weight.grad.abs().sum() > 0


@pytest.fixture(scope="module", params=METHODS)
def fitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    """Each method in turn, trained once for all tests."""
    folder = tmp_path_factory.mktemp(request.param)
    experiment = small_experiment(request.param)
    evaluation = run(experiment, folder, command=f"python train.py method={request.param}")
    return Fitted(experiment, evaluation, load_artifact(folder / "artifact"), folder / "artifact")


def test_every_method_is_one_file_and_one_yaml() -> None:
    """Of several methods that are one class, a yaml each."""
    assert {"dlbhc", "dqn"} <= set(TRAINED)
    assert {"bre", "itq", "itq_cca", "lsh", "mlh", "pca_rr"} == set(METHODS) - set(TRAINED)
    files = {path.stem for path in Path(ROOT, "dqh", "methods").glob("*.py") if path.stem != "__init__"}
    targets = [*TARGETS.values(), *DETECTORS.values()]
    assert {target.split(".")[-2] for target in targets} == files


@pytest.mark.slow
def test_a_new_method_is_one_file_and_one_yaml_and_keeps_the_contract(tmp_path: Path) -> None:
    """The method of the how-to, in a copy of the project in which nothing else is changed."""
    for name in ("dqh", "conf", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    (code, yaml) = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / "dqh" / "methods" / "balanced.py").write_text(code)
    (tmp_path / "conf" / "method" / "balanced.yaml").write_text(yaml)
    command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider"]
    chosen = ["tests/methods/test_contract.py", "tests/test_conf.py", "-k", "balanced or one_yaml and not new_method"]
    done = subprocess.run(
        [*command, *chosen],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= 8, done.stdout


@pytest.mark.parametrize("name", METHODS)
def test_the_yaml_names_the_one_method_of_the_file(name: str) -> None:
    module = import_module(TARGETS[name].rpartition(".")[0])
    methods = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, HashModule) and member.__module__ == module.__name__
    ]
    assert [f"{module.__name__}.{method.__name__}" for method in methods] == [TARGETS[name]]
    assert small_experiment(name).method.method == name


@pytest.mark.parametrize("name", TRAINED)
def test_a_gradient_on_every_parameter_that_should_train(name: str) -> None:
    method = small_experiment(name).method
    images, labels = torch.from_numpy(Digits().read_many(np.arange(100))), torch.from_numpy(Digits().labels[:100])
    if method.refit_every is not None:
        with torch.no_grad():
            method.fit_quantizer(method.encoder(images).embedding.numpy(), seed=0)
    batch = TrainingBatch(images, labels, torch.arange(100))
    found = method.training_step(batch, 0)
    assert found is not None
    assert torch.isfinite(found["loss"])
    found["loss"].backward()
    fixed = {name for name, parameter in method.named_parameters() if not parameter.requires_grad}
    assert [name for name in fixed if name.startswith("encoder.backbone") or name == "encoder.head.linear.weight"] == []
    still = [
        name
        for name, parameter in method.named_parameters()
        if name not in fixed and (parameter.grad is None or not parameter.grad.any())
    ]
    assert still == []


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", TRAINED)
def test_no_loss_waits_for_the_device(name: str, several: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the meta device there are no values: whatever asks for one, as `.item()` does, fails. It has no autocast."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    method = small_experiment(name).method.to("meta")
    if method.waits_for_device:
        pytest.skip("says of itself that its loss, which others wrote, asks for values")
    images = torch.empty(8, 3, 8, 8, device="meta", dtype=torch.uint8)
    labels = torch.empty(8, 10, device="meta", dtype=torch.bool) if several else torch.empty(8, device="meta").long()
    try:
        terms = method.losses(method.encoder(images), labels)
    except ValueError as error:  # what asks for a value raises another one
        if not several:
            raise
        pytest.skip(f"takes single labels alone: {error}")
    sum(terms.values()).backward()


def test_the_loss_is_finite_and_is_the_sum_of_its_terms(fitted: Fitted) -> None:
    if isinstance(fitted.experiment.method, ClosedForm):
        pytest.skip("nothing is trained: there is no loss")
    (row,) = fitted.evaluation.history
    assert math.isfinite(row["train/loss"])
    assert math.isfinite(row["val/mAP"])
    method, images = fitted.experiment.method.eval(), torch.from_numpy(Digits().read_many(np.arange(24)))
    with torch.no_grad():
        terms = method.losses(method.encoder(images), torch.from_numpy(Digits().labels[:24]))
    assert {f"train/{name}" for name in terms} <= set(row)
    assert all(value.ndim == 0 and torch.isfinite(value) for value in terms.values())
    assert sum(row[f"train/{name}"] for name in terms) == pytest.approx(row["train/loss"], rel=1e-4)


def test_codes_are_of_the_declared_kind(fitted: Fitted) -> None:
    quantizer, encoder = fitted.artifact.quantizer, fitted.artifact.encoder
    manifest = read_manifest(fitted.folder)
    assert type(quantizer) is QUANTIZERS[manifest["code_kind"]]
    assert (fitted.experiment.method.kind, fitted.experiment.method.bits) == (quantizer.kind, quantizer.bits)
    assert (manifest["code_kind"], manifest["bits"]) == (quantizer.kind, quantizer.bits)
    with torch.inference_mode():
        embedding = encoder(torch.from_numpy(Digits().read_many(np.arange(50)))).embedding.numpy()
    codes = quantizer.encode(embedding)
    assert (codes.dtype, codes.shape) == (np.uint8, (50, -(-quantizer.bits // 8)))
    assert quantizer.decode(codes).shape == embedding.shape


def test_the_artifact_reloads_bit_for_bit(fitted: Fitted) -> None:
    """Weights, quantizer and classifier of the network in memory are those on disk; golden inputs give golden codes."""
    method, artifact = fitted.experiment.method.eval(), fitted.artifact
    memory = replace(artifact, encoder=method.encoder, quantizer=method.quantizer(), classifier=method.classifier)
    assert memory.encoder_id == artifact.encoder_id
    assert (memory.classifier is None) == (artifact.classifier is None)
    if memory.classifier is not None and artifact.classifier is not None:
        assert torch.equal(memory.classifier.weight, artifact.classifier.weight)
        assert torch.equal(memory.classifier.bias, artifact.classifier.bias)
    assert verify_golden(artifact, fitted.folder)[1:3] == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_one_training_gives_several_lengths(name: str, tmp_path: Path) -> None:
    """Each length is in the artifact with weights that have moved, and has a row and an index by its own bits."""
    if name == "softmax":
        with pytest.raises(ConfigError, match="have one length of their own"):
            small_experiment(name, lengths=[8, 16])
        return
    shorter, longer = (8, 32) if name in TRAINED else (4, 8)  # a bit a feature at most
    lengths = sorted((shorter, 16, longer))
    experiment = small_experiment(name, lengths=lengths)
    method = experiment.method
    before = {bits: other.encoder.head.linear.weight.clone() for bits, other in method.others.items()}
    evaluation = run(experiment, tmp_path, command=f"python train.py method.lengths={lengths}")
    assert method.bits == 16
    assert all(
        not torch.equal(method.others[bits].encoder.head.linear.weight, weight) for bits, weight in before.items()
    )
    assert set(evaluation.metrics["lengths"]) == {str(shorter), str(longer)}
    assert "each length by codes alone" in evaluation.text()
    images = torch.from_numpy(Digits().read_many(np.arange(20)))
    for bits in lengths:
        artifact = load_artifact(tmp_path / "artifact", bits=bits)
        assert verify_golden(artifact, tmp_path / "artifact")[1:3] == (0, 0)
        with torch.inference_mode():
            codes = artifact.quantizer.encode(artifact.encoder(images).embedding.numpy())
        assert codes.shape == (20, -(-bits // 8))
