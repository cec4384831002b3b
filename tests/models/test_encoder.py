"""The encoder."""

import torch

from dqh.inputs import InputSpec
from dqh.models import Encoder, HashHead, Identity, SmallResNet


def test_raw_images_are_normalised_inside() -> None:
    """A pixel of 255 with mean .5 and std .25 becomes (1 − .5) / .25 = 2, a pixel of 0 becomes −2."""
    backbone = SmallResNet(width=4, size=8)
    spec = InputSpec(size=8, resize=8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    encoder = Encoder(backbone, HashHead(16, 3), spec=spec)
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    normalised = encoder.normalise(images)
    assert normalised[0].unique().tolist() == [-2.0]
    assert normalised[1].unique().tolist() == [2.0]
    assert torch.equal(encoder.normalise(images.float()), normalised)


def test_features_are_the_mean_of_both_sides_where_asked_for() -> None:
    """Outside of a training; an image and its mirror image are then the same."""
    torch.manual_seed(0)
    backbone = SmallResNet(width=4, size=8, mirror=True)
    encoder = Encoder(backbone, HashHead(16, 3)).eval()
    images = torch.randint(256, (2, 3, 8, 8), dtype=torch.uint8)
    seen = encoder.normalise(images)
    with torch.no_grad():
        features = encoder(images).features
        assert torch.allclose(features, (backbone(seen) + backbone(seen.flip(3))) / 2)
        assert torch.allclose(features, encoder(images.flip(3)).features)
        assert not torch.allclose(features, backbone(seen))
        assert torch.equal(encoder(images).embedding, encoder.head(features))
        assert torch.equal(encoder.train()(images).features, backbone(encoder.normalise(images)))


def test_vectors_pass_unchanged_to_the_head() -> None:
    encoder = Encoder(Identity(size=5), HashHead(5, 4, activation="none"))
    vectors = torch.randn(3, 5)
    output = encoder(vectors)
    assert torch.equal(output.features, vectors)
    assert torch.equal(output.embedding, encoder.head.linear(vectors))


def test_colours_are_scaled_as_torch_scales_them() -> None:
    """To the last bit: mean and std are in the weights of artifacts."""
    encoder = Encoder(SmallResNet(width=4, size=8), HashHead(16, 12))
    for own, values in ((encoder.mean, encoder.spec.mean), (encoder.std, encoder.spec.std)):
        assert torch.equal(own, 255 * torch.tensor(values).view(1, 3, 1, 1))
