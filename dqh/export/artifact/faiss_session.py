"""An empty faiss index out of a file, filled and asked: what runs in a process of its own, since faiss trusts files.

This file imports nothing of this package (see `process`).
"""

from typing import Any

import faiss


class FaissSession:
    """Answers a request with the content of a file and items (N, W): what the index, filled with them, says of them.

    The `kind` of a request is `of codes`: answers the distance (N, 1) int32 of each item's nearest; `latent`: the
    values (N, B) float32 before its bits, and the codes (N, ⌈B / 8⌉) uint8; `of vectors`: the codes (N, …) uint8,
    behind the number of the list where there are lists. Where its width is another than W, the answer is that alone.
    """

    def __call__(self, request: Any) -> Any:
        """The answer."""
        content, items = request.arrays
        kind = request.fields["kind"]
        index: Any = faiss.deserialize_index_binary(content) if kind == "of codes" else faiss.deserialize_index(content)
        width = index.code_size if kind == "of codes" else index.d
        if width != items.shape[1]:
            return request._replace(fields={"width": width}, arrays=())
        index.add(items)
        if kind == "of codes":
            answers = [index.search(items, 1)[0]]
        elif kind == "latent":
            layer: Any = faiss.downcast_index(index.base_index)
            answers = [faiss.downcast_VectorTransform(layer.chain.at(0)).apply(items), layer.sa_encode(items)]
        else:
            answers = [index.sa_encode(items)]
        return request._replace(fields={}, arrays=tuple(answers))
