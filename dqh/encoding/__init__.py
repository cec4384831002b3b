"""Images to codes, embeddings and features: rows of a store through a network on one device or several.

Nothing here knows of training, evaluation or plots, so that what encodes a query need not load them.
"""
