"""Training objectives as pure functions."""

from dqh.losses.classification import classification_loss

__all__ = ["classification_loss"]
