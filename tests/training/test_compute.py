"""Number formats, and a network that is compiled, or is not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.plugins import Precision

from dqh.training import compute, run
from dqh.training.compute import Compiled, WarmUp, can_compile, precision_of, tf32
from dqh.training.module import full_float32

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("name", "device", "bf16", "wanted"),
    [
        ("auto", CPU, True, "32-true"),
        ("auto", CUDA, True, "bf16-mixed"),
        ("auto", CUDA, False, "32-true"),
        ("16-mixed", CUDA, True, "16-mixed"),
        ("bf16-mixed", CPU, False, "bf16-mixed"),
        ("bf16-where-fast", CPU, True, "bf16-mixed"),
        ("bf16-where-fast", CPU, False, "32-true"),
        ("bf16-where-fast", CUDA, True, "bf16-mixed"),
        ("bf16-where-fast", CUDA, False, "32-true"),
    ],
)
def test_the_number_format(name: Any, device: torch.device, bf16: bool, wanted: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": bf16}, raising=False)
    assert precision_of(name, device) == wanted


def test_a_torch_that_cannot_tell_tells_nothing(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert precision_of("bf16-where-fast", CPU) == "32-true"
    compute.warn_of_slow_format("bf16-mixed", CPU)
    assert caplog.text == ""


@pytest.mark.parametrize(("bf16", "told"), [(False, 1), (True, 0)])
def test_a_slow_number_format_is_told(bf16: bool, told: int, monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": bf16}, raising=False)
    compute.warn_of_slow_format("bf16-mixed", CPU)
    compute.warn_of_slow_format("32-true", CPU)
    assert caplog.text.count("takes it many times as long as trainer.precision=32-true") == told


def test_matrix_products_have_ten_bits_in_the_network_and_all_in_the_loss() -> None:
    before = torch.get_float32_matmul_precision()
    seen = []
    with tf32(True):
        seen.append(torch.get_float32_matmul_precision())
        with full_float32():
            seen.append(torch.get_float32_matmul_precision())
        seen.append(torch.get_float32_matmul_precision())
    with tf32(False):
        seen.append(torch.get_float32_matmul_precision())
    assert seen == ["high", "highest", "high", before]
    assert torch.get_float32_matmul_precision() == before


def test_nothing_is_compiled_for_the_cpu_unasked() -> None:
    assert not can_compile(CPU)


class Compiler:
    """Stands in for torch.compile; fails in the calls that it is told to."""

    def __init__(self, *failing: int) -> None:
        self.failing, self.calls = failing, 0

    def __call__(self, forward: Any, *, dynamic: bool) -> Any:
        def compiled(images: Any) -> Any:
            self.calls += 1
            if self.calls in self.failing:
                raise torch._dynamo.exc.TorchDynamoException("no compiler\nat all")
            return forward(images)

        return compiled


def test_batches_of_another_size_run_as_written(monkeypatch: Any) -> None:
    compiler = Compiler()
    monkeypatch.setattr(torch, "compile", compiler)
    forward = Compiled(lambda images: images + 1, size=2)  # type: ignore[arg-type, return-value]
    for size, calls in ((2, 1), (3, 1), (2, 2)):
        assert torch.equal(forward(torch.zeros(size)), torch.ones(size))  # type: ignore[arg-type]
        assert compiler.calls == calls


def test_a_compiler_that_fails_is_asked_no_more(monkeypatch: Any, caplog: Any) -> None:
    compiler = Compiler(2)
    monkeypatch.setattr(torch, "compile", compiler)
    forward = Compiled(lambda images: images + 1, size=2)  # type: ignore[arg-type, return-value]
    for _ in range(4):
        assert torch.equal(forward(torch.zeros(2)), torch.ones(2))  # type: ignore[arg-type]
    assert (compiler.calls, forward.failed) == (2, True)
    assert [record.message for record in caplog.records] == [
        "torch.compile failed, going on without it (trainer.compile=false): no compiler"
    ]


@pytest.mark.parametrize("failing", [(), (1,)])
def test_a_warm_up_leaves_nothing_behind(tiny: Any, monkeypatch: Any, failing: tuple[int, ...]) -> None:
    compiler = Compiler(*failing)
    monkeypatch.setattr(torch, "compile", compiler)
    module = tiny().method
    before = {name: value.clone() for name, value in module.state_dict().items()}
    warm_up = WarmUp(lambda device: torch.rand(8, 3, 8, 8, device=device), compiling=True)
    trainer: Any = SimpleNamespace(precision_plugin=Precision())
    warm_up.on_train_start(trainer, module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert compiler.calls == (1 if failing else 2 * compute.ROUNDS)
    assert (warm_up.compiled, warm_up.seconds > 0) == (not failing, True)
    warm_up.on_train_end(trainer, module)
    assert module.forward_of_step is None


@pytest.mark.slow
def test_an_error_of_the_network_itself_comes_through(tiny: Any) -> None:
    """Images of two channels: it is not the compiler's fault, and the run says what is wrong."""
    warm_up = WarmUp(lambda device: torch.rand(8, 2, 8, 8, device=device), compiling=True)
    trainer: Any = SimpleNamespace(precision_plugin=Precision())
    with pytest.raises(RuntimeError, match="size of tensor"):
        warm_up.on_train_start(trainer, tiny().method)


@pytest.mark.slow
def test_a_compiled_training_is_the_same_training(tiny: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """With a compiler that changes nothing: the warm-up, its draws and its statistics leave no trace."""
    compiler = Compiler()
    monkeypatch.setattr(torch, "compile", compiler)
    states = []
    for compiled in (False, True):
        folder = tmp_path / str(compiled)
        folder.mkdir()
        evaluation = run(tiny(trainer={"epochs": 1, "compile": compiled}), folder, command="")
        assert evaluation.metrics["training"]["compiled"] == compiled
        states.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    assert compiler.calls == 2 * compute.ROUNDS + 6
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
