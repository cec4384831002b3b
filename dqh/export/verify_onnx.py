"""Checks the ONNX form beside this file, and encodes images with it: numpy, pillow and onnxruntime are enough.

    python verify_onnx.py                  every hash, and the golden inputs
    python verify_onnx.py PHOTO.jpg …      the same, then the code of each image in hexadecimal, low bits first

Exit status: 0 all well, 1 damaged, unreadable or other codes than the golden ones, 2 an image or argument that cannot
be used or a package that is missing, 130 / 143 interrupted.
The form runs in a process of its own, which may take 120 s to load it, and 60 s and 10 s an image for each answer.
`read_image` is how an image becomes the input of the form, `Form.encode` how inputs become codes, embedding, features.
"""

import codecs
import hashlib
import io
import json
import os
import signal
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dqh.data.pixels import MAX_BYTES, centre_of, check_bytes, decode
from dqh.encoding.onnx_session import INPUT_SECONDS, LOAD_SECONDS, RUN_SECONDS, OnnxSession
from dqh.encoding.process import Message, Process, ProcessError
from dqh.export.plain_reading import Damaged, finite, read_manifest, read_regular

SOFT_BIT = 1e-6  # a bit may differ where the embedding lies this close to the threshold
SOFT_CODEWORD = 1e-5  # or where both codewords are the nearest up to this share of their squared distance
FEATURE_TOLERANCE = 1e-3  # of the largest feature
BATCH_BYTES, BATCH_INPUTS = 2**22, 64  # golden inputs at a time
MAX_HEADER = 16 * 2**20


class Form:
    """The ONNX form of a folder.

    Args:
        folder: holds `artifact.json` or `export.json`, and all that it lists.

    Attributes:
        runtime: name and version of what runs it.

    Raises:
        Damaged: a file is not what was written, or the form cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.spec = self.manifest["input"]
        content = np.frombuffer(self.read("encoder.onnx"), np.uint8)
        self.process = Process(OnnxSession)
        self.runtime = self.ask(Message({"do": "load", "threads": 0}, (content,)), LOAD_SECONDS).fields["runtime"]

    def ask(self, request: Message, seconds: float) -> Message:
        """What the process of the form answers."""
        try:
            return self.process.ask(request, seconds=seconds)
        except ProcessError as error:
            lines = str(error).strip().splitlines() or [error.kind]
            raise Damaged(f"onnxruntime cannot {request.fields['do']} encoder.onnx: {lines[0][:300]}") from error

    def read(self, name: str) -> bytes:
        """The content of a listed file, whose hash is checked."""
        entry, file = self.manifest["files"].get(name), self.folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Damaged(f"{name} lies outside the folder")
        if entry is None or not os.path.lexists(file):
            raise Damaged(f"{name} is missing")
        if file.resolve() != self.folder.resolve() / name:
            raise Damaged(f"{name} is a link, wanted the file itself")
        content = read_regular(file, entry["size"])
        if len(content) != entry["size"] or hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise Damaged(f"{name} does not match its hash")
        return content

    def array(self, name: str) -> np.ndarray:
        """A listed .npy file of uint8 or float32 in C order."""
        content = self.read(name)
        length = int.from_bytes(content[8:10], "little")
        header = content[10 : 10 + length].decode("latin1").strip()
        for dtype in (np.uint8, np.float32):
            start = "{'descr': '" + np.dtype(dtype).str + "', 'fortran_order': False, 'shape': ("
            if content[:8] == b"\x93NUMPY\x01\x00" and header.startswith(start) and header.endswith("), }"):
                shape = [int(side) for side in header[len(start) : -4].split(",") if side.strip()]
                values = np.frombuffer(content, dtype, offset=10 + length)
                if min(shape, default=0) >= 0 and values.size == int(np.prod(shape, dtype=object)):
                    return finite(values.reshape(shape), name)
        raise Damaged(f"{name} is no array of this format")

    def tensors(self) -> dict[str, np.ndarray]:
        """The tensors of `quantizer.safetensors` that say which bits are soft."""
        file = "quantizer.safetensors"
        content = self.read(file)
        length = int.from_bytes(content[:8], "little")
        if not 2 <= length <= min(MAX_HEADER, len(content) - 8):
            raise Damaged(f"{file} has no header")
        kinds = {"F32": np.float32, "F64": np.float64}
        tensors = {}
        try:
            for name, entry in json.loads(content[8 : 8 + length]).items():
                if name != "__metadata__":
                    begin, end = entry["data_offsets"]
                    part = content[8 + length :][begin:end]
                    tensor = np.frombuffer(part, kinds[entry["dtype"]]).reshape(entry["shape"])
                    tensors[name] = finite(tensor, f"{name} of {file}")
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise Damaged(f"{file} holds something else than tensors of float32 and float64: {error!r}") from error
        kind, shapes = self.manifest["code_kind"], {name: tensor.shape for name, tensor in tensors.items()}
        if kind == "binary" and shapes != {"threshold": ()}:
            raise Damaged(f"{file} holds {shapes}, wanted one threshold")
        if kind == "pq":
            subspaces, codewords, width = (*shapes.get("codebooks", ()), 0, 0, 0)[:3]
            bits = subspaces * (codewords.bit_length() - 1)
            turned = shapes.get("rotation", (subspaces * width,) * 2)
            if len(shapes["codebooks"]) != 3 or bits != self.manifest["bits"] or turned != (subspaces * width,) * 2:
                raise Damaged(f"{file} holds {shapes}, which make no codes of {self.manifest['bits']} bits")
        return tensors

    def encode(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes (N, ⌈B / 8⌉) uint8, embedding (N, D) float32, features (N, F) float32 of inputs.

        Args:
            inputs: (N, 3, S, S) uint8 of `read_image`, or (N, F) float32 vectors.
        """
        seconds = RUN_SECONDS + INPUT_SECONDS * len(inputs)
        codes, embedding, features = self.ask(Message({"do": "run"}, (inputs,)), seconds).arrays
        wanted = ((codes, np.uint8), (embedding, np.float32), (features, np.float32))
        if not all(answer.dtype == kind and answer.ndim == 2 and len(answer) == len(inputs) for answer, kind in wanted):
            got = ", ".join(f"{answer.dtype} {answer.shape}" for answer, _ in wanted)
            raise Damaged(f"encoder.onnx answers {got} to {len(inputs)} inputs, wanted uint8, float32, float32 (N, …)")
        return codes, embedding, features

    def answers(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same of any number of inputs from 1, some at a time."""
        size = max(1, min(BATCH_INPUTS, BATCH_BYTES // max(1, inputs[0].nbytes)))
        parts = [self.encode(inputs[start : start + size]) for start in range(0, len(inputs), size)]
        codes, embedding, features = (np.concatenate(field) for field in zip(*parts, strict=True))
        return codes, embedding, features

    def golden(self) -> np.ndarray:
        """The golden inputs; for images the last one comes out of the encoded JPEG."""
        inputs, size, is_image = self.array("golden/inputs.npy"), self.spec["size"], self.spec["kind"] == "image"
        shape, dtype = ((3, size, size), np.uint8) if is_image else ((size,), np.float32)
        if inputs.dtype != dtype or inputs.shape[1:] != shape or not inputs.size:
            raise Damaged(
                f"golden/inputs.npy holds {inputs.dtype} {inputs.shape}, wanted {dtype.__name__} (N, {shape})"
            )
        if not is_image:
            return inputs
        return np.concatenate([inputs, read_image(self.read("golden/image.jpg"), self.spec)[None]])

    def soft(self, embedding: np.ndarray, kept: np.ndarray, other: np.ndarray) -> np.ndarray:
        """(N, B): the bits that may differ between machines; kept and other are bits (N, B)."""
        kind, tensors = self.manifest["code_kind"], self.tensors()
        if kind == "binary":
            return np.asarray(np.abs(embedding - float(tensors["threshold"])) <= SOFT_BIT)
        if kind == "class_index":
            near = embedding >= embedding.max(1, keepdims=True) - 2 * SOFT_BIT
            return np.asarray(near & (near.sum(1, keepdims=True) > 1))
        codebooks = tensors["codebooks"].astype(np.float64)
        subspaces, codewords, width = codebooks.shape
        parts = embedding.astype(np.float64)
        if "rotation" in tensors:
            parts = parts @ tensors["rotation"]
        near = np.empty((len(parts), subspaces), bool)
        for row, part in enumerate(parts.reshape(-1, subspaces, 1, width)):
            distances = ((part - codebooks) ** 2).sum(2)
            for m in range(subspaces):
                pair = [indices(bits[row], subspaces, codewords)[m] for bits in (kept, other)]
                farther = distances[m, pair].max()
                near[row, m] = farther - distances[m].min() < SOFT_CODEWORD * farther
        return np.repeat(near, codewords.bit_length() - 1, axis=1)


def indices(bits: np.ndarray, subspaces: int, codewords: int) -> np.ndarray:
    """The codeword of each subspace, from bits (B,)."""
    width = codewords.bit_length() - 1
    return bits.reshape(subspaces, width).astype(np.int64) @ (1 << np.arange(width))


def read_image(content: bytes, spec: dict[str, Any]) -> np.ndarray:
    """(3, S, S) uint8: an encoded image upright, as RGB, its centre square resized to `resize` and cropped to `size`.

    The first frame counts, 16-bit grey keeps its high byte, and what is transparent shows white.

    Raises:
        ValueError: it cannot be decoded, or exceeds a cap: on its bytes, pixels, scans, parts, or the memory it takes.
    """
    check_bytes(len(content), max_bytes=MAX_BYTES)
    resize, size = spec["resize"], spec["size"]
    offset = (resize - size) // 2
    whole = centre_of(decode(content), resize, interpolation=spec["interpolation"])
    return whole[:, offset : offset + size, offset : offset + size]


def verify(form: Form) -> bool:
    """Check every file and the golden inputs, print what was found, and tell whether all is well."""
    for name in form.manifest["files"]:
        form.read(name)
    form.tensors()
    inputs = form.golden()
    kept, wanted, bits = form.array("golden/codes.npy"), form.array("golden/features.npy"), form.manifest["bits"]
    shapes = (len(inputs), -(-bits // 8)), (len(inputs), *wanted.shape[1:2])
    if kept.dtype != np.uint8 or wanted.dtype != np.float32 or (kept.shape, wanted.shape) != shapes:
        raise Damaged(
            f"golden/ holds codes {kept.dtype} {kept.shape} and features {wanted.dtype} {wanted.shape}, wanted uint8 "
            f"{shapes[0]} and float32 ({len(inputs)}, …)"
        )
    codes, embedding, features = form.answers(inputs)
    if codes.shape != kept.shape or features.shape != wanted.shape:
        raise Damaged(
            f"encoder.onnx answers codes {codes.shape} and features {features.shape}, wanted {kept.shape} and "
            f"{wanted.shape}"
        )
    is_set = [np.unpackbits(packed, axis=1, count=bits, bitorder="little").astype(bool) for packed in (kept, codes)]
    differs = is_set[0] != is_set[1]
    soft = differs & form.soft(embedding, *is_set) if differs.any() else differs
    error = float(np.abs(features - wanted).max() / max(np.abs(wanted).max(), 1e-30))
    flips = int((differs & ~soft).sum())
    print(f"encoder  {form.manifest['encoder_id']}, {bits} bits ({form.manifest['code_kind']})")
    print(f"files    {len(form.manifest['files'])} match their hashes")
    print(
        f"onnx     {len(inputs)} golden inputs, {flips} bits flipped, {int(soft.sum())} soft bits differ, features "
        f"differ by {error:.1e} of the largest ({form.runtime})"
    )
    return flips == 0 and error <= FEATURE_TOLERANCE


def written(error: UnicodeError) -> tuple[bytes, int]:
    """An error handler of stdout: file names that are no UTF-8 come out as they are, what it cannot hold as escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    parts = [
        letter.encode("ascii", "surrogateescape" if "\udc80" <= letter <= "\udcff" else "backslashreplace")
        for letter in error.object[error.start : error.end]
    ]
    return b"".join(parts), error.end


def plain(text: str) -> str:
    """A text of which no letter steers a terminal or ends a line."""
    shown = (
        letter if letter.isprintable() or "\udc80" <= letter <= "\udcff" else ascii(letter)[1:-1] for letter in text
    )
    return "".join(shown)


def tell(text: str) -> None:
    """A line on stderr."""
    print(plain(text), file=sys.stderr)


def terminated(number: int, frame: object) -> None:
    """End by an exception, so that the process of the form ends too."""
    raise SystemExit(128 + number)


def main(arguments: list[str]) -> int:
    """Verify the folder of this file, then encode the images given; what the system refuses is told."""
    codecs.register_error("names", written)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="names")
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large images are refused with a message
    before = signal.signal(signal.SIGTERM, terminated)
    try:
        status = answer(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        tell("interrupted")
        return 130
    except BrokenPipeError:  # who read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except OSError as error:  # a file that may not be read, a full disk below stdout
        tell(f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError:
        tell("there is not enough memory for the form")
    finally:
        signal.signal(signal.SIGTERM, before)
    return 1


def answer(arguments: list[str]) -> int:
    """The exit status of `main`, where nothing stands in the way."""
    if any(argument.startswith("-") for argument in arguments):
        print(__doc__)
        return 0 if set(arguments) & {"-h", "--help"} else 2
    if find_spec("onnxruntime") is None:
        tell("onnxruntime is not installed; install it: pip install onnxruntime")
        return 2
    try:
        form = Form(Path(__file__).resolve().parent)
        if not verify(form):
            tell("damaged: the form gives other answers than the golden ones; export it again")
            return 1
    except (Damaged, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = str(error) if isinstance(error, Damaged) else f"its files do not fit each other: {error!r}"
        tell(f"damaged: {reason}; copy the folder again, or export it again")
        return 1
    if arguments and form.spec["kind"] == "vector":
        tell("this encoder takes vectors, not images; use Form(folder).encode")
        return 2
    status = 0
    for argument in arguments:
        try:
            image = read_image(read_regular(Path(argument), MAX_BYTES), form.spec)
        except (OSError, ValueError, MemoryError) as error:
            reason = str(getattr(error, "strerror", None) or error) or "not enough memory"
            tell(f"{argument}: {reason}; give an image file")
            status = 2
            continue
        try:
            code = form.encode(np.ascontiguousarray(image[None]))[0][0]
        except Damaged as error:
            tell(f"{argument}: {error}; export it again")
            return 1
        print(f"{code.tobytes().hex()}  {plain(argument)}")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
