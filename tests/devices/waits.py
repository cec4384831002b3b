"""What may wait for the device, and why: no training step, and nothing that makes distances, keys or histograms."""

MAY_WAIT: dict[str, str] = {
    # between the steps of a training
    "dqh.losses.hash_centres.centre_classifier": "once, while a method is built: codes that were drawn on the host",
    "dqh.methods.cnnh.CNNH._factorise": "once, while a method is built, and once of its images: on the host",
    "dqh.methods.crh.CRH.__init__": "once, while a method is built: codes that were drawn on the host",
    "dqh.methods.crh.CRH.reassign": "classes choose their centres on the host, once an epoch",
    "dqh.methods.adsh.ADSH.follow": "which images were seen is the shape of what follows, once an epoch",
    "dqh.losses.pairwise_bound.pairwise_bound": "no loss but the bound of one: eigenvalues, once a validation batch",
    "dqh.methods.dqn.DQN.fit_quantizer": "a fit, of embeddings that lie on the host: k-means or OPQ between epochs",
    "dqh.methods.dqn.DQN.quantizer": "codebooks go to the host, once an epoch",
    "dqh.training.learned_codebooks.LearnedCodebooks.fit": "a fit, of embeddings of the host: k-means between epochs",
    "dqh.training.learned_codebooks.LearnedCodebooks.quantizer": "codebooks go to the host, once an epoch",
    "dqh.training.module.HashModule.require_finite": "it raises; once a validation batch",
    "dqh.training.module.HashModule.validation_step": "embeddings and means go to the host, once a validation batch",
    "dqh.training.validation.leave_one_out_map": "the value that chooses the epoch, once an epoch",
    "dqh.training.callbacks.FiniteLoss.check": "losses are read every 50 steps, all at once",
    # before the training
    "dqh.models.identity.Identity.initialise": "a fit: which vectors are outliers is found on the host",
    "dqh.models.whitened_convnet.WhitenedConvNet.initialise": "a fit: eigenvectors of patches",
    # quantizers, whose arrays lie on the host
    "dqh.quantizers.codebooks.fit_codebooks": "a fit: k-means in each subspace, with draws of the host",
    "dqh.quantizers.optimized.OptimizedProductQuantizer.fit": "a fit: k-means and decompositions in turn",
    "dqh.quantizers.product.ProductQuantizer.encode": "codes go to the host, a chunk at a time",
    "dqh.quantizers.product.ProductQuantizer.soft": "bits go to the host, a chunk at a time",
    "dqh.quantizers.product.ProductQuantizer.tables": "tables go to the host, a chunk at a time",
    # searches, some queries at a time
    "dqh.native.device.selection.in_shares": "answers go to the host",
    "dqh.native.device.hits.hits_in_shares": "how many hits there are is the shape of what follows",
    "dqh.native.device.feature_tensors.FeatureTensors.nearest": "answers go to the host",
    # metrics, a chunk of queries at a time
    "dqh.ranking.buckets.Buckets.size": "cutoffs beyond the database are refused; once for all metrics of a chunk",
    "dqh.ranking.buckets._buckets": "how many buckets there are is the shape of what follows",
    "dqh.evaluation.metrics._divided_by_hits": "only queries whose cutoff splits a bucket are looked at",
    "dqh.evaluation.metrics._hypergeometric": "its table is as wide as the largest number of hits",
    "dqh.evaluation.metrics._terms": "the table of harmonic numbers is as long as the longest ranking",
    "dqh.index.orders.vectors._Vectors.__init__": "vectors that are not finite are refused, once a side",
    "dqh.evaluation.reproduction.bounds": "results go to the host",
    "dqh.evaluation.reproduction.extremes_of": "its table is as wide as the largest number of hits",
    "dqh.evaluation.reproduction._mean_of_some": "results go to the host",
    "dqh.evaluation.reproduction.InTies.__call__": "results go to the host",
    "dqh.evaluation.conventions.Convention.mean": "results go to the host",
    "dqh.evaluation.retrieval._costs": "results go to the host",
    "dqh.evaluation.retrieval._candidates": "results go to the host",
    "dqh.evaluation.retrieval._means": "results go to the host",
    "dqh.evaluation.measure.Tally.add": "results go to the host",
}
"""By the dotted name of the function: the innermost that is listed answers for all that it calls."""
