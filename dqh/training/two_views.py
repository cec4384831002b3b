"""Methods that learn from two views of each image, and from no label."""

from abc import abstractmethod

from torch import Tensor

from dqh.models import EncoderOutput
from dqh.training.module import HashModule


class TwoViews(HashModule):
    """A method whose losses compare two embeddings of the same images.

    Both are made of the same features, by noise and dropout of the head (Gao, Yao and Chen, EMNLP 2021), so that frozen
    backbones and ready-made vectors serve too; the random views of images are those of the training. Departure from the
    methods' authors, who draw two views of an image.
    """

    @abstractmethod
    def view_losses(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """Named loss terms, as of `losses`, of two embeddings (N, D) of the same images, of all processes."""

    def losses(self, output: EncoderOutput, labels: Tensor) -> dict[str, Tensor]:
        """Those of the embedding and of another one, which has noise and dropout of its own in training."""
        second = self.encoder.head(output.features) if self.training else output.embedding
        return self.view_losses(self.together(output.embedding), self.together(second))
