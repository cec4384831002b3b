"""Decodes images of strangers: what runs inside a process of its own, which can be ended whatever it does.

This file is run by its path, see `dqh.encoding.process`, and imports the decoder when it is first asked.
"""

import io
from typing import Any

import numpy as np

JPEG_QUALITY = 85


class ImageWorker:
    """Answers `pixels`, `picture` and `size`, each of an encoded image as bytes (N,) uint8."""

    def __call__(self, request: Any) -> Any:
        """The upright RGB image (H, W, 3) uint8; or a JPEG of it, with its side cut to `side`; or its `size` alone.

        A JPEG has the pixels and nothing else: no EXIF, no comment, no profile.
        """
        from dqh.data.pixels import decode

        content, fields = request.arrays[0].tobytes(), request.fields
        if fields["do"] == "pixels":
            return request._replace(fields={}, arrays=(np.asarray(decode(content, max_pixels=fields["pixels"])),))
        if fields["do"] == "size":
            from dqh.data.images import upright_size

            return request._replace(fields={"size": upright_size(content, max_pixels=fields["pixels"])}, arrays=())
        from PIL import Image

        image = decode(content, max_pixels=fields["pixels"], least=fields["side"])
        scale = min(1.0, fields["side"] / max(image.size))
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if size != image.size:
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        image.info = {}  # comment and profile, which Pillow would write again
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=JPEG_QUALITY, optimize=True, progressive=fields["side"] > 640)
        return request._replace(fields={}, arrays=(np.frombuffer(stream.getvalue(), np.uint8),))
