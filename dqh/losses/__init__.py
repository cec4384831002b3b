"""Training objectives as pure functions."""

from dqh.losses.central_similarity import central_similarity_loss
from dqh.losses.classification import classification_loss
from dqh.losses.hash_centres import centre_classifier, centre_targets, hash_centres
from dqh.losses.likelihood import pairwise_likelihood_loss
from dqh.losses.margin_cosine import margin_cosine_loss
from dqh.losses.pairwise import inner_product_loss, pairwise_cosine_loss
from dqh.losses.pairwise_bound import pairwise_bound
from dqh.losses.quantization import product_quantization_loss
from dqh.losses.sign_penalty import cubic_sign_penalty, log_cosh_sign_penalty
from dqh.losses.similarity import pair_weights, similarity_targets
from dqh.losses.straight_through import straight_through_sign

__all__ = [
    "central_similarity_loss",
    "centre_classifier",
    "centre_targets",
    "classification_loss",
    "cubic_sign_penalty",
    "hash_centres",
    "inner_product_loss",
    "log_cosh_sign_penalty",
    "margin_cosine_loss",
    "pair_weights",
    "pairwise_bound",
    "pairwise_cosine_loss",
    "pairwise_likelihood_loss",
    "product_quantization_loss",
    "similarity_targets",
    "straight_through_sign",
]
