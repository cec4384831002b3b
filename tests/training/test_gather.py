"""Pairs across processes: two processes move as one with all the rows."""

from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, distributed, multiprocessing, nn

from dqh.inputs import InputSpec
from dqh.methods.dlbhc import DLBHC
from dqh.methods.dqn import DQN
from dqh.models import Backbone, Identity
from dqh.training import Optimizer, processes
from dqh.training.batch_norm import share_batch_norm
from dqh.training.gather import gather, total
from dqh.training.module import HashModule, TrainingBatch

STEPS, BATCH = 4, 16
KINDS = [nn.BatchNorm2d, BatchNormAct2d]
OPTIONS: list[dict[str, Any]] = [{}, {"positive_weight": "balanced", "codebook": "straight_through"}]


def network(backbone: type[Backbone] = Identity, **options: Any) -> DQN:
    """Equal weights wherever it is made; 12 features, D = 8, M = 2, K = 4."""
    torch.manual_seed(0)
    module = DQN(
        backbone(size=12),
        4,
        bits=4,
        codewords=4,
        dimension=8,
        optimizer=Optimizer(),
        quantization_weight=0.5,
        quantization_warmup=0.0,
        **options,
    )
    module.fit_quantizer(torch.tanh(torch.randn(64, 8)).numpy(), seed=0)
    return module


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(BATCH, 12, generator=generator), torch.randint(0, 4, (BATCH,), generator=generator))
        for _ in range(STEPS)
    ]


def train(module: HashModule, *, rank: int, of: int) -> Tensor:
    """All weights after a few steps; gradients are averaged over the processes, as DistributedDataParallel does."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    rows = slice(rank * BATCH // of, (rank + 1) * BATCH // of)
    for vectors, labels in batches():
        optimizer.zero_grad()
        found = module.training_step(TrainingBatch(vectors[rows], labels[rows], torch.arange(BATCH)[rows]), 0)
        assert found is not None
        found["loss"].backward()
        for parameter in module.parameters():
            if of > 1:
                distributed.all_reduce(parameter.grad)
                parameter.grad /= of
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


class Deep(Backbone):
    """Two layers with a batch normalisation between them, in float64."""

    name = "deep"
    taps = ("top",)
    architecture = ()

    def __init__(self, *, size: int) -> None:
        super().__init__()
        self.spec, self.dimension, self.arguments = InputSpec(size=size, resize=size, kind="vector"), size, {}
        self.layers = nn.Sequential(nn.Linear(size, size), nn.BatchNorm1d(size), nn.Tanh(), nn.Linear(size, size))

    def forward(self, vectors: Tensor) -> Tensor:
        features: Tensor = self.layers(vectors.double())
        return features


def deep() -> DQN:
    """In float64 from the features to the loss; z keeps its length, as lengths of 1 are made in float32."""
    return network(Deep, normalise=False, codebook="straight_through").double()


def latent() -> DLBHC:
    """With a decoder, in float64, and in evaluation mode, as a fine-tuning is."""
    torch.manual_seed(0)
    module = DLBHC(Deep(size=12), 4, bits=4, optimizer=Optimizer(), reconstruction=2.0)
    return module.double().eval()


def normalise(images: Tensor, *, shared: bool, kind: type[nn.BatchNorm2d]) -> list[Tensor]:
    """What a batch normalisation makes of images, its gradients, and its statistics afterwards."""
    torch.manual_seed(5)
    layer = nn.Sequential(kind(3))
    nn.init.normal_(layer[0].weight)
    if shared:
        share_batch_norm(layer)
    images = images.clone().requires_grad_(True)
    output = layer(images)
    (output.sin() * torch.arange(1, 4).view(1, 3, 1, 1)).sum().backward()
    weights = [parameter.grad for parameter in layer.parameters()]
    return [output.detach(), images.grad, *weights, *layer.buffers()]  # type: ignore[list-item]


def pictures() -> Tensor:
    return 3 + 2 * torch.randn(BATCH, 3, 5, 5, generator=torch.Generator().manual_seed(2))


def _one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save([train(network(**options), rank=rank, of=2) for options in OPTIONS], f"{folder}/{rank}.pt")
    module = deep()
    share_batch_norm(module)
    torch.save([train(module, rank=rank, of=2), *module.buffers()], f"{folder}/{rank}-deep.pt")
    torch.save([train(latent(), rank=rank, of=2)], f"{folder}/{rank}-latent.pt")
    for kind in KINDS:
        found = normalise(pictures()[rank * 8 : rank * 8 + 8], shared=True, kind=kind)
        torch.save(found, f"{folder}/{rank}-{kind.__name__}.pt")
    assert gather(torch.tensor([rank])).tolist() == [0, 1]
    assert [processes.rank(), processes.count()] == [rank, 2]
    assert processes.everyone({"rank": rank}) == [{"rank": 0}, {"rank": 1}]
    assert total(torch.tensor(1.0 + rank)) == 3
    assert gather(torch.tensor([[rank == 0, True]])).tolist() == [[True, True], [False, True]]  # several labels
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With what two processes have found; spawned, as gradients of a test before do not survive a fork."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.start_processes(_one_of_two, args=(str(folder),), nprocs=2, start_method="spawn")
    return folder


@pytest.fixture(scope="module")
def moved(folder: Path) -> list[tuple[Tensor, Tensor]]:
    """For each of the options, the weights in the first and in the second process."""
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2))
    return list(zip(first, second, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(OPTIONS)))
def test_two_processes_move_as_one(moved: list[tuple[Tensor, Tensor]], case: int) -> None:
    """1e-6: float32 sums of 256 pairs in another order, over four steps of weights below 1."""
    (first, second), options = moved[case], OPTIONS[case]
    alone = train(network(**options), rank=0, of=1)
    assert torch.equal(first, second)
    assert (first - alone).abs().max() < 1e-6
    start = torch.cat([parameter.detach().flatten() for parameter in network(**options).parameters()])
    assert (start - alone).abs().max() > 1e-2


@pytest.mark.slow
def test_two_processes_move_as_one_to_the_last_digits_of_float64(folder: Path) -> None:
    """With batch normalisation: weights, codebooks and statistics, after four steps."""
    module = deep()
    require_equal(folder, "deep", [train(module, rank=0, of=1), *module.buffers()])


@pytest.mark.slow
def test_two_processes_fine_tune_as_one(folder: Path) -> None:
    """The layers in evaluation mode, and a loss that is no mean over images."""
    require_equal(folder, "latent", [train(latent(), rank=0, of=1)])


def require_equal(folder: Path, name: str, alone: list[Tensor]) -> None:
    """What each of two processes found, and one alone."""
    first, second = (torch.load(folder / f"{rank}-{name}.pt", weights_only=True) for rank in range(2))
    assert alone[0].dtype == torch.float64
    assert len(alone) == len(first) == len(second)
    for mine, yours, wanted in zip(first, second, alone, strict=True):
        assert torch.equal(mine, yours)
        torch.testing.assert_close(mine, wanted, atol=1e-10, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_batch_normalisation_sees_the_images_of_both(folder: Path, kind: type[nn.BatchNorm2d]) -> None:
    """Output and gradients of each half; gradients of the weights add up; statistics are equal in both. float32."""
    alone = normalise(pictures(), shared=False, kind=kind)
    parts = [torch.load(folder / f"{rank}-{kind.__name__}.pt", weights_only=True) for rank in range(2)]
    for place, wanted in enumerate(alone):
        first, second = (part[place] for part in parts)
        found = [torch.cat([first, second])] if place < 2 else [first + second] if place < 4 else [first, second]
        for each in found:
            torch.testing.assert_close(each, wanted, atol=2e-4, rtol=1e-5)


def test_one_process_keeps_its_rows() -> None:
    values = torch.randn(3, 2)
    assert gather(values) is values
    assert total(values) is values
    assert (processes.rank(), processes.count(), processes.everyone(values)) == (0, 1, [values])
