"""The networks that an artifact of a detector may name, made of a backbone and plain values."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from dqh.models.backbone import Backbone
from dqh.models.detectors.faster_rcnn_network import FasterRCNNNetwork
from dqh.models.detectors.ssd_network import SSDNetwork
from dqh.models.detectors.trunk import Trunk
from dqh.schema import Check, integer, number, one_of, record

NETWORKS: dict[str, type[nn.Module]] = {"faster_rcnn": FasterRCNNNetwork, "ssd": SSDNetwork}
"""By name."""

_SHARED: dict[str, Check] = {"maps": integer(1, 3), "width": integer(2, 2048)}

ARGUMENTS: dict[str, Check] = {
    "faster_rcnn": record(
        {
            **_SHARED,
            "hidden": integer(2, 8192),
            "dropout": number(0, 0.9),
            "proposals": integer(1, 1000),
            "objectness": number(0, 1),
            "overlap": number(0, 1),
            "smallest": number(0.01, 0.5),
        },
        optional=("overlap", "smallest"),  # artifacts of before have none
    ),
    "ssd": record(
        {
            **_SHARED,
            "extras": integer(0, 8),
            "extra_stride": one_of(1, 2),
            "pyramid": one_of(True, False),
            "dropout": number(0, 0.9),
        },
    ),
}
"""By name of a network: its arguments as JSON has them; `maps` is of the trunk."""


def make(
    name: str, backbone: Backbone, classes: int, arguments: Mapping[str, Any], *, freeze_norms: bool = True
) -> nn.Module:
    """A network of `NETWORKS` on a backbone, which is not to be used any more.

    Args:
        name: of the network.
        backbone: of its trunk.
        classes: C.
        arguments: as `ARGUMENTS` wants them.
        freeze_norms: see `Trunk`.

    Raises:
        ValueError: the arguments are none of this network.
        ConfigError: the backbone is none that it can stand on.
    """
    if problems := ARGUMENTS[name](dict(arguments), ""):
        raise ValueError("; ".join(problems))
    own = {key: value for key, value in arguments.items() if key != "maps"}
    return NETWORKS[name](Trunk(backbone, maps=arguments["maps"], freeze_norms=freeze_norms), classes, **own)
