"""The backbones that an artifact may name."""

from dqh.models.backbone import Backbone
from dqh.models.identity import Identity
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
"""By name."""
