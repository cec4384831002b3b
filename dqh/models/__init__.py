"""Backbones, the hash head, and the encoder that joins them."""

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

BACKBONES: dict[str, type[Backbone]] = {
    backbone.name: backbone
    for backbone in (
        AlexNet,
        Identity,
        MobileNetV2,
        ResNet18,
        ResNet34,
        ResNet50,
        ResNet101,
        ResNet152,
        SmallResNet,
        Timm,
        VGG16,
        WhitenedConvNet,
    )
}
"""The backbones that an artifact may name."""

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
