"""Deep hashing and deep quantization of images: train, search, evaluate, export.

Importing this package loads nothing heavy; every part is imported by its own name, as in
`from dqh.index import HammingIndex`.
"""

__version__ = "0.1.0"
