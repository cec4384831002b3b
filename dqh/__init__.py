"""Deep hashing and deep quantization of images: train, search, evaluate, export.

Importing this package loads nothing heavy; every part is imported by its own name, as in
`from dqh.index import HammingIndex`. Two names are here for programs that search, and load what they need when they are
first used, neither Lightning nor hydra (tests/collection/test_searching.py runs these lines):

    encoder = dqh.load_encoder("runs/latest/artifact")       # dqh.encoding.loaded_encoder.load_encoder
    index = dqh.open_index("photos.index")                   # dqh.index.store.open_index
    found = index.search(encoder.encode(["query.jpg"]), k=10, where="label = 'dress'")
    print([(hit.path, hit.distance) for hit in found.hits[0]])

Importing it also sets a few variables of the environment, those that the user has not set (see `dqh.variables`).
"""

from importlib import import_module

from dqh.variables import set_variables

TYPE_CHECKING = False  # typing takes longer to load than all else here
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"

set_variables()  # here, and not where it would be needed: dependencies read them when anything of theirs is imported

_LAZY = {"load_encoder": "dqh.encoding.loaded_encoder", "open_index": "dqh.index.store"}


def __getattr__(name: str) -> "Any":
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
