"""Backbones, the hash head, and the encoder that joins them.

They are imported when they are first used, since they need torch; the names of activations come without.
"""

from typing import TYPE_CHECKING

from dqh.lazy import lazily

if TYPE_CHECKING:
    from dqh.models.backbone import Backbone
    from dqh.models.encoder import Encoder, EncoderOutput
    from dqh.models.heads import HashHead
    from dqh.models.identity import UNFIT, Identity
    from dqh.models.pretrained import (
        VGG16,
        AlexNet,
        MobileNetV2,
        ResNet18,
        ResNet34,
        ResNet50,
        ResNet101,
        ResNet152,
    )
    from dqh.models.small_resnet import SmallResNet
    from dqh.models.timm_adapter import Timm
    from dqh.models.whitened_convnet import WhitenedConvNet
    from dqh.models.zoo import BACKBONES

__all__ = [
    "BACKBONES",
    "UNFIT",
    "VGG16",
    "AlexNet",
    "Backbone",
    "Encoder",
    "EncoderOutput",
    "HashHead",
    "Identity",
    "MobileNetV2",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResNet101",
    "ResNet152",
    "SmallResNet",
    "Timm",
    "WhitenedConvNet",
]

_WITH_TORCH = {
    "backbone": ("Backbone",),
    "encoder": ("Encoder", "EncoderOutput"),
    "heads": ("HashHead",),
    "identity": ("Identity", "UNFIT"),
    "pretrained": ("AlexNet", "MobileNetV2", "ResNet101", "ResNet152", "ResNet18", "ResNet34", "ResNet50", "VGG16"),
    "small_resnet": ("SmallResNet",),
    "timm_adapter": ("Timm",),
    "whitened_convnet": ("WhitenedConvNet",),
    "zoo": ("BACKBONES",),
}

__getattr__, __dir__ = lazily(__name__, _WITH_TORCH, __all__)
