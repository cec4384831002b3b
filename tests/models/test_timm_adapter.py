"""Networks of timm: taps, input, weights from files and from the hub's cache, and nothing from the network unasked."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from dqh.artifact import Artifact, load_artifact, read_manifest, save_artifact
from dqh.data import Split
from dqh.errors import ArtifactError, ConfigError, DqhError
from dqh.models import Encoder, HashHead, Timm
from dqh.quantizers import Threshold
from tests.artifact.forging import write_manifest

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""

    def refuse(*arguments: object) -> None:
        pytest.fail("something wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def full(model: str) -> torch.nn.Module:
    """timm's own network, with random weights."""
    torch.manual_seed(0)
    network: torch.nn.Module = timm.create_model(model).eval()
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "size"), [("test_vit", 160), ("test_resnet", 96), ("test_efficientnet", 96), ("efficientvit_m0", 224)]
)
def test_taps_give_what_timms_network_has_there(tmp_path: Path, model: str, size: int) -> None:
    network, images = full(model), torch.randn(2, 3, size, size)
    save_file(network.state_dict(), tmp_path / "net.safetensors")
    with torch.no_grad():
        wanted = {"fc": network(images)}
        network.reset_classifier(0)
        wanted["pool"] = network(images)
        for tap in Timm.taps:
            ours = Timm(model=model, tap=tap, size=size, weights=str(tmp_path / "net.safetensors")).eval()
            assert torch.equal(ours(images), wanted[tap])
            assert wanted[tap].shape == (2, ours.dimension)


def test_pool_of_a_transformer_is_its_class_token(tmp_path: Path) -> None:
    network, images = full("test_vit"), torch.randn(2, 3, 160, 160)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    ours = Timm(model="test_vit", size=160, weights=str(tmp_path / "net.pt")).eval()
    with torch.no_grad():
        assert torch.equal(ours(images), network.forward_features(images)[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "tap", "size", "resize", "mean", "interpolation", "dimension"),
    [
        ("vit_small_patch14_dinov2.lvd142m", "pool", 224, 224, (0.485, 0.456, 0.406), "bicubic", 384),
        ("vit_base_patch16_clip_224.openai", "pool", 224, 248, CLIP_MEAN, "bicubic", 768),  # ⌊224 / .9⌋
        ("vit_base_patch16_clip_224.openai", "fc", 224, 248, CLIP_MEAN, "bicubic", 512),  # CLIP's embedding
        ("mobilenetv3_small_100.lamb_in1k", "pool", 224, 256, (0.485, 0.456, 0.406), "bicubic", 1024),
        ("resnet18.tv_in1k", "fc", 64, 73, (0.485, 0.456, 0.406), "bilinear", 1000),  # ⌊64 / .875⌋
    ],
)
def test_the_input_is_that_of_timms_configuration(
    model: str, tap: str, size: int, resize: int, mean: tuple, interpolation: str, dimension: int
) -> None:
    with torch.device("meta"):
        network = Timm(model=model, tap=tap, size=size)
        assert Timm(model=model, tap=tap, size=size, resize=300).spec.resize == 300
    spec = network.spec
    assert (spec.size, spec.resize, spec.mean, spec.interpolation) == (size, resize, mean, interpolation)
    assert network.dimension == dimension
    assert network.arguments == {"model": model, "tap": tap}


def test_position_embeddings_are_fitted_to_the_size(tmp_path: Path) -> None:
    """160 pixels are 10 × 10 patches, 80 are 5 × 5; a class token before them."""
    network = full("test_vit")
    with torch.no_grad():
        network.pos_embed.copy_(0.25 * torch.ones(1, 101, 64))
    torch.save(network.state_dict(), tmp_path / "net.pt")
    ours = Timm(model="test_vit", size=80, weights=str(tmp_path / "net.pt"))
    torch.testing.assert_close(ours.body.pos_embed, torch.full((1, 26, 64), 0.25))


def artifact_of(backbone: Timm) -> Artifact:
    return Artifact(
        method="dlbhc",
        encoder=Encoder(backbone, HashHead(backbone.dimension, 8)).eval(),
        quantizer=Threshold(8),
        classifier=None,
        class_names=("a", "b"),
        split=Split(protocol="counts", seed=0, data="toy", query=("1",), database=("2",), train=("2",), validation=()),
        training={},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("model", "size"), [("test_vit", 96), ("efficientvit_m0", 64)])
def test_an_artifact_brings_the_network_back(tmp_path: Path, model: str, size: int) -> None:
    """Without random draws, and with the buffers of efficientvit that it computes itself."""
    torch.manual_seed(0)
    artifact = artifact_of(Timm(model=model, size=size))
    save_artifact(artifact, tmp_path / "artifact", golden={})
    before = torch.get_rng_state()
    loaded = load_artifact(tmp_path / "artifact")
    assert torch.equal(before, torch.get_rng_state())
    assert loaded.encoder.backbone.arguments == {"model": model, "tap": "pool"}
    images = torch.randint(0, 256, (3, 3, size, size), dtype=torch.uint8)
    with torch.inference_mode():
        assert torch.equal(loaded.encoder(images).embedding, artifact.encoder(images).embedding)


@pytest.mark.parametrize("model", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:/tmp", "timm/resnet18", ["resnet18"], 3])
def test_an_artifact_names_models_of_timms_list_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: object
) -> None:
    artifact = artifact_of(Timm(model="test_resnet", size=32))
    save_artifact(artifact, tmp_path / "artifact", golden={})
    manifest = read_manifest(tmp_path / "artifact")
    backbone = manifest["backbone"] | {"arguments": manifest["backbone"]["arguments"] | {"model": model}}
    write_manifest(tmp_path / "artifact", manifest | {"backbone": backbone})
    monkeypatch.setattr(timm, "create_model", lambda *arguments, **options: pytest.fail("a model was created"))
    with pytest.raises(ArtifactError):
        load_artifact(tmp_path / "artifact")


def into_cache(hub: Path, model: str) -> None:
    """Put weights where the hub's client would have left them."""
    folder = hub / f"models--timm--{model}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0123")
    (folder / "snapshots" / "0123").mkdir(parents=True)
    save_file(full(model).state_dict(), folder / "snapshots" / "0123" / "model.safetensors")


def test_pretrained_weights_come_from_the_hubs_cache(hub: Path) -> None:
    into_cache(hub, "test_resnet.r160_in1k")
    ours = Timm(model="test_resnet.r160_in1k", size=32, weights="pretrained").body.state_dict()
    wanted = full("test_resnet.r160_in1k").state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in ours.items())
    assert "fc.weight" not in ours


def test_pretrained_weights_are_not_fetched_unasked(hub: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=rf"looked in {hub}\); pass backbone.download=true .* https://huggingface.co/timm/test_vit.r160",
    ):
        Timm(model="test_vit", size=160, weights="pretrained")


def test_a_download_lands_where_it_is_looked_for(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(repository: str, file: str) -> str:
        fetched.append((repository, file))
        into_cache(hub, "test_resnet.r160_in1k")
        return str(hub / "models--timm--test_resnet.r160_in1k" / "snapshots" / "0123" / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    for _ in range(2):
        Timm(model="test_resnet", size=32, weights="pretrained", download=True)
    assert fetched == [("timm/test_resnet.r160_in1k", "model.safetensors")]


def test_a_download_that_fails_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: str) -> None:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ConfigError, match=r"could not be downloaded \(no route to host\); .* give its path as weights"):
        Timm(model="test_resnet", size=32, weights="pretrained", download=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Timm(model="vit_smal_patch14_dinov2"),
            "has no 'vit_smal_patch14_dinov2'; did you mean vit_small_patch14",
        ),
        (lambda: Timm(model="resnet18.a9_in1k"), "has no 'resnet18.a9_in1k'; did you mean resnet18.a"),
        (lambda: Timm(model="§"), "has no '§'; timm.list_models.. lists them"),
        (lambda: Timm(model="test_vit", tap="fc7"), "tap must be one of pool, fc for timm, got 'fc7'"),
        (
            lambda: Timm(model="vit_small_patch14_dinov2", tap="fc"),
            "has no last layer in timm, got 'fc'; write tap=pool",
        ),
        (lambda: Timm(model="test_vit", size=100), "size: test_vit cannot take 100 × 100 pixels: "),
        (lambda: Timm(model="test_vit", size=0), "got size=0"),
        (lambda: Timm(model="test_mambaout", weights="pretrained"), "the hub has none under the name test_mambaout"),
    ],
)
def test_errors(call: Callable[[], Timm], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """timm itself would leave a layer without weights at its random start."""
    state = full("test_resnet").state_dict()
    state.pop("conv1.0.weight")
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(ConfigError, match=r"missing conv1\.0\.weight; it has no timm names"):
        Timm(model="test_resnet", size=32, weights=str(tmp_path / "net.safetensors"))
    save_file(state | {"conv1.0.weight": torch.zeros(1)}, tmp_path / "net.safetensors")
    with pytest.raises(ConfigError, match=r"net\.safetensors does not fit test_resnet: "):
        Timm(model="test_resnet", size=32, weights=str(tmp_path / "net.safetensors"))


def test_without_timm_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(DqhError, match="needs the package timm; install it: pip install timm"):
        Timm(model="test_vit")


def test_taps_of_a_model() -> None:
    assert Timm.taps_of("test_resnet") == ("pool", "fc")
    assert Timm.taps_of("vit_small_patch14_dinov2.lvd142m") == ("pool",)
    assert Timm.taps_of("no_such_model") == Timm.taps


def test_weights_are_looked_for_also_where_a_network_is_only_planned(tmp_path: Path) -> None:
    with torch.device("meta"), pytest.raises(ConfigError, match="no file at"):
        Timm(model="test_resnet", size=96, weights=str(tmp_path / "missing.safetensors"))
