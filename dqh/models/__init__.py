"""Backbones, the hash head, and the encoder that joins them."""

from dqh.models.backbone import Backbone
from dqh.models.encoder import Encoder, EncoderOutput
from dqh.models.heads import HashHead
from dqh.models.identity import Identity
from dqh.models.pretrained import AlexNet, MobileNetV2, ResNet18, ResNet50
from dqh.models.small_resnet import SmallResNet

BACKBONES: dict[str, type[Backbone]] = {
    backbone.name: backbone for backbone in (AlexNet, Identity, MobileNetV2, ResNet18, ResNet50, SmallResNet)
}
"""The backbones that an artifact may name."""

__all__ = [
    "BACKBONES",
    "AlexNet",
    "Backbone",
    "Encoder",
    "EncoderOutput",
    "HashHead",
    "Identity",
    "MobileNetV2",
    "ResNet18",
    "ResNet50",
    "SmallResNet",
]
