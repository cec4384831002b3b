"""Training objectives as pure functions."""

from dqh.losses.asymmetric import asymmetric_loss, database_codes
from dqh.losses.cauchy import cauchy_loss, cauchy_sign_penalty
from dqh.losses.central_similarity import central_similarity_loss
from dqh.losses.classification import classification_loss
from dqh.losses.contrastive import contrastive_loss
from dqh.losses.fisher import fisher_centres, fisher_targets
from dqh.losses.hash_centres import centre_classifier, centre_targets, hash_centres
from dqh.losses.likelihood import pair_likelihood_loss, pairwise_likelihood_loss, triplet_likelihood_loss
from dqh.losses.margin_cosine import margin_cosine_loss
from dqh.losses.pairwise import inner_product_loss, pairwise_cosine_loss
from dqh.losses.pairwise_bound import pairwise_bound
from dqh.losses.polarization import polarization_loss
from dqh.losses.quantization import product_quantization_loss
from dqh.losses.reconstruction import reconstruction_loss
from dqh.losses.sign_penalty import (
    absolute_sign_penalty,
    cubic_sign_penalty,
    log_cosh_sign_penalty,
    squared_sign_penalty,
)
from dqh.losses.similarity import pair_weights, similarity_targets
from dqh.losses.soft_similarity import soft_similarity_loss
from dqh.losses.straight_through import straight_through_sign

__all__ = [
    "absolute_sign_penalty",
    "asymmetric_loss",
    "cauchy_loss",
    "cauchy_sign_penalty",
    "central_similarity_loss",
    "centre_classifier",
    "centre_targets",
    "classification_loss",
    "contrastive_loss",
    "cubic_sign_penalty",
    "database_codes",
    "fisher_centres",
    "fisher_targets",
    "hash_centres",
    "inner_product_loss",
    "log_cosh_sign_penalty",
    "margin_cosine_loss",
    "pair_likelihood_loss",
    "pair_weights",
    "pairwise_bound",
    "pairwise_cosine_loss",
    "pairwise_likelihood_loss",
    "polarization_loss",
    "product_quantization_loss",
    "reconstruction_loss",
    "similarity_targets",
    "soft_similarity_loss",
    "squared_sign_penalty",
    "straight_through_sign",
    "triplet_likelihood_loss",
]
