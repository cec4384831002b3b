"""Any network of timm (PyTorch image models), up to its pooling or to its last layer. Needs timm, imported at use."""

import math
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dqh.errors import ConfigError, DqhError, first_line
from dqh.inputs import InputSpec
from dqh.models.backbone import Backbone, read_weights

_FILE = "model.safetensors"


class Timm(Backbone):
    """A network of timm by its name there, with the mean, standard deviation and interpolation that timm gives it.

    Images are cropped from their centre also where timm squashes them (`crop_mode`).

    Args:
        model: a name of timm's, with the tag of its weights or without, such as `vit_small_patch14_dinov2.lvd142m`.
        tap: `pool`, the pooled features that the last layer would get, or `fc`, what the last layer says: scores of
            the classes, or the embedding of a CLIP network. Some networks have no last layer.
        size: side of the input, pixels; position embeddings of transformers are interpolated to it.
        resize: side of the square that training crops from, pixels; None for timm's choice, `size` / its `crop_pct`.
        mirror: whether features are the mean of those of an image and of its mirror image, see `InputSpec`.
        weights: None for a random start, `pretrained` for those that the hub has under the model's name, or the path of
            a `.pt`, `.pth` or `.safetensors` file with timm's names.
        download: fetch the hub's weights where they are not on this machine yet.

    Raises:
        ConfigError: unknown model or tap, a size that the network cannot have, weights that are missing or do not fit.
        DqhError: timm is not installed.
        ValueError: sizes that cannot be.
    """

    name = "timm"
    taps: ClassVar[tuple[str, ...]] = ("pool", "fc")
    architecture = ("model", "tap")

    def __init__(
        self,
        *,
        model: str,
        tap: str = "pool",
        size: int = 224,
        resize: int | None = None,
        mirror: bool = False,
        weights: str | None = None,
        download: bool = False,
    ) -> None:
        super().__init__()
        self.require_tap(tap)
        timm = _timm()
        facts = _facts(timm, model)
        if tap == "fc" and not facts.num_classes:
            raise ConfigError(f"tap: {model} has no last layer in timm, got 'fc'; write tap=pool")
        self.spec = InputSpec(
            size=size,
            resize=resize or math.floor(size / facts.crop_pct),
            mean=facts.mean,
            std=facts.std,
            interpolation=facts.interpolation,
            mirror=mirror,
        )
        self.arguments = {"model": model, "tap": tap}
        options: dict[str, Any] = {"num_classes": facts.num_classes if tap == "fc" else 0}
        if facts.fixed_input_size:
            options["img_size"] = size
        plan, self.dimension = _plan(timm, model, options, size=size)
        file = None
        if weights is not None:
            file = _hub_file(facts, download=download) if weights == "pretrained" else _own_file(Path(weights), plan)
        if torch.get_default_device().type == "meta":
            self.body = _with_computed_buffers(plan)
        elif file is None:
            self.body = timm.create_model(model, **options)
        else:
            self.body = _loaded(timm, model, options, file=file)

    @classmethod
    def taps_of(cls, model: str) -> tuple[str, ...]:
        """The taps that a network of timm has; both for a name that timm does not know."""
        try:
            return cls.taps if _facts(_timm(), model).num_classes else cls.taps[:1]
        except DqhError:
            return cls.taps

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) float32 in model space to features, (N, F)."""
        features: Tensor = self.body(images)
        return features


def _timm() -> Any:
    try:
        return import_module("timm")
    except ImportError as error:
        raise DqhError("backbone timm needs the package timm; install it: pip install timm") from error


def _facts(timm: Any, model: str) -> Any:
    """What timm knows of a model: mean, std, number of classes, the place of its weights.

    Only names of timm's own list pass: `create_model` would take `hf-hub:…` and `local-dir:…` too, and read from there.
    """
    try:
        return timm.get_pretrained_cfg(model, allow_unregistered=False)
    except RuntimeError as error:
        close = get_close_matches(str(model), timm.list_models() + timm.list_models(include_tags=True), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "timm.list_models() lists them"
        raise ConfigError(f"model: timm {timm.__version__} has no {model!r}; {hint}") from error


def _plan(timm: Any, model: str, options: dict[str, Any], *, size: int) -> tuple[nn.Module, int]:
    """The network without storage, and the length of its features."""
    try:
        with torch.device("meta"):
            plan: nn.Module = timm.create_model(model, **options).eval()
            features: Tensor = plan(torch.empty(1, 3, size, size))
    except Exception as error:  # each network has its own way to refuse a size
        raise ConfigError(f"size: {model} cannot take {size} × {size} pixels: {first_line(error)}") from error
    return plan.train(), features.shape[1]


def _with_computed_buffers(network: nn.Module) -> nn.Module:
    """A network without storage, but for the buffers that it computes itself and no file holds."""
    kept = network.state_dict()
    if all(name in kept for name, _ in network.named_buffers()):
        return network
    network.to_empty(device="cpu")
    with torch.device("cpu"):
        for module in network.modules():
            compute: Any = getattr(module, "init_non_persistent_buffers", None)
            if compute is not None:
                compute()
    bare = {name: value.to("meta") for name, value in network.state_dict().items()}
    network.load_state_dict(bare, assign=True)
    return network


def _hub_file(facts: Any, *, download: bool) -> Path:
    """The file of the hub's weights on this machine, fetched where asked to."""
    hub: Any = import_module("huggingface_hub")
    if not facts.hf_hub_id:
        raise ConfigError(
            f"weights: the hub has none under the name {facts.architecture}; write weights=null or give a file"
        )
    page = f"https://huggingface.co/{facts.hf_hub_id}"
    cached = hub.try_to_load_from_cache(facts.hf_hub_id, _FILE)
    if isinstance(cached, str):
        return Path(cached)
    if not download:
        raise ConfigError(
            f"weights: {_FILE} of {facts.hf_hub_id} is not on this machine (looked in {hub.constants.HF_HUB_CACHE}); "
            f"pass backbone.download=true to fetch it, or get it from {page} and give its path as weights"
        )
    try:
        return Path(hub.hf_hub_download(facts.hf_hub_id, _FILE))
    except Exception as error:  # no network, no such page, no permission: the hub's client raises a dozen types
        raise ConfigError(
            f"weights: {_FILE} of {facts.hf_hub_id} could not be downloaded ({first_line(error)}); look at the network "
            f"and run again, or get it from {page} and give its path as weights"
        ) from error


def _own_file(path: Path, plan: nn.Module) -> Path:
    """`path`, where it has all that the network needs; timm would leave what is missing at its random start."""
    given = read_weights(path)
    missing = [name for name in plan.state_dict() if name not in given and "num_batches_tracked" not in name]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise ConfigError(f"weights: {path} does not fit: missing {', '.join(missing[:3])}{more}; it has no timm names")
    return path


def _loaded(timm: Any, model: str, options: dict[str, Any], *, file: Path) -> nn.Module:
    """The network with the weights of a file, which timm fits to the input size and the last layer."""
    overlay = {"file": str(file), "custom_load": False}
    try:
        network: nn.Module = timm.create_model(model, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"weights: {file} does not fit {model}: {first_line(error)}") from error
    return network
