"""Every hash of an artifact, or of exported forms, and its golden inputs on every runtime that is here.

Nothing is parsed before the hash of the very bytes is checked, and a program of `torch.export`, which would be
unpickled, is run for those alone who say that they trust it. A hash says nothing of who wrote a file, so that all forms
run in processes of their own, which have a time and can be ended.
"""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from dqh.artifact.answers import Answers
from dqh.artifact.golden import Golden, Verdict, compare, eager, in_batches, read_golden, verify_golden
from dqh.artifact.interface import QUANTIZER, quantizer_of
from dqh.artifact.lengths import LENGTHS, lengths_in
from dqh.artifact.loading import load_artifact, require_consistent
from dqh.artifact.manifest import (
    Listing,
    damages,
    listing_of,
    manifest_name,
    read_listed,
    read_manifest,
    unlisted,
)
from dqh.artifact.places import INDEX_KIND
from dqh.codes import code_bytes, unpack
from dqh.encoding.onnx_runtime import INSTALL, OnnxForm, runtime_version
from dqh.encoding.onnx_session import LOAD_SECONDS
from dqh.encoding.process import Message, Process, ProcessError
from dqh.errors import ArtifactError, first_line
from dqh.export.artifact.exported_program import ProgramForm
from dqh.export.artifact.faiss_form import require_empty
from dqh.export.artifact.faiss_session import FaissSession
from dqh.quantizers import Quantizer
from dqh.quantizers.quantizer import SOFT_BIT
from dqh.terminal import shown


class Run(NamedTuple):
    """The golden inputs on one runtime: the verdict on its answers, or why it was not run or failed."""

    runtime: str
    file: str
    verdict: Verdict | None = None
    note: str | None = None
    failure: str | None = None

    @property
    def holds(self) -> bool:
        """Nothing is wrong with what was run."""
        return self.failure is None and (self.verdict is None or self.verdict.holds)

    def text(self) -> str:
        """A line for people."""
        if self.verdict is None:
            return f"{self.runtime}, {self.file}: {self.note or f'FAILED: {self.failure}'}"
        verdict = self.verdict
        return (
            f"{self.runtime}, {self.file}: {verdict.inputs} golden inputs, {verdict.flips} bits flipped, "
            f"{verdict.soft} soft bits differ, features differ by {verdict.feature_error:.1e} of the largest"
            f"{'' if self.holds else ': FAILED'}"
        )


class Verification(NamedTuple):
    """What was found in a folder; nothing is run where files are damaged, and nobody vouches for unlisted ones."""

    encoder_id: str
    bits: int
    code_kind: str
    files: int
    damaged: tuple[str, ...]
    unlisted: tuple[str, ...]
    runs: tuple[Run, ...]

    @property
    def holds(self) -> bool:
        """All files are as they were written and all runtimes here give the golden answers."""
        return not self.damaged and all(run.holds for run in self.runs)

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, with `holds`; an error of features that is no number is null."""
        runs = []
        for run in self.runs:
            verdict = None if run.verdict is None else run.verdict._asdict()
            if verdict is not None and not np.isfinite(verdict["feature_error"]):
                verdict["feature_error"] = None
            runs.append(run._asdict() | {"verdict": verdict, "holds": run.holds})
        return self._asdict() | {"runs": runs, "holds": self.holds}

    def text(self) -> str:
        """A few lines for people."""
        lines = [
            f"encoder  {self.encoder_id}, {self.bits} bits ({self.code_kind})",
            f"files    {self.files - len(self.damaged)} of {self.files} match their hashes",
            *(f"damaged  {file}" for file in self.damaged),
            *(run.text() for run in self.runs),
        ]
        if self.damaged:
            lines.append("nothing was run, since files are damaged")
        lines.append("all is well" if self.holds else "NOT as it was written")
        return "\n".join(map(shown, lines))


class _Folder(NamedTuple):
    """What a runtime is given."""

    path: Path
    name: str
    files: Listing
    quantizer: Quantizer
    golden: Golden

    def read(self, file: str) -> bytes:
        return read_listed(self.path, self.files, file, self.name)


def verify(path: Path, *, trust: bool = False) -> Verification:
    """Check a folder.

    Args:
        path: an artifact, or a folder of exported forms; those of an index have hashes and no golden inputs.
        trust: run `encoder.pt2` too, which unpickles.

    Raises:
        ArtifactError: no manifest there, or one that describes nothing that can be, all that is wrong in one text.
    """
    name = manifest_name(path)
    manifest = read_manifest(path, name)
    files = listing_of(path, manifest, name)
    damaged = tuple(damages(path, files, name))
    if not damaged:
        require_consistent(path, manifest, files, name)
    try:
        runs = (
            ()
            if damaged or manifest.get("kind") == INDEX_KIND
            else tuple(_runs(path, manifest, files, name, trust=trust))
        )
        identity = (str(manifest["encoder_id"]), int(manifest["bits"]), str(manifest["code_kind"]))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ArtifactError(f"{path / name} does not describe an artifact: {error!r}; export it again") from error
    return Verification(*identity, len(files), damaged, tuple(unlisted(path, files, name)), runs)


def _runs(path: Path, manifest: Mapping[str, Any], files: Listing, name: str, *, trust: bool) -> list[Run]:
    quantizer = quantizer_of(manifest, read_listed(path, files, QUANTIZER, name))
    folder = _Folder(path, name, files, quantizer, read_golden(path, manifest, files, name))
    runs, of_faiss = [], _Faiss(folder)
    if "encoder.safetensors" in files:
        runs.append(_tried(f"eager (torch {torch.__version__})", "encoder.safetensors", partial(_eager, folder)))
        for bits in lengths_in(manifest):
            if bits != manifest["bits"]:
                runs.append(
                    _tried(f"eager (torch {torch.__version__})", f"{LENGTHS}/{bits}/", partial(_further, path, bits))
                )
    seen: set[str] = set()
    for file in sorted(files):
        if file.endswith(".onnx") and files[file]["sha256"] not in seen:
            seen.add(files[file]["sha256"])  # the one of Triton is the same
            runs.append(_onnx(folder, file))
        if file.endswith(".pt2"):
            runs.append(_program(folder, file, trust=trust))
        if file.endswith(".faiss"):
            runs.append(_tried(f"faiss {version('faiss-cpu')}", file, partial(of_faiss, file)))
    of_faiss.close()
    return runs


def _tried(runtime: str, file: str, run: Callable[[], Verdict]) -> Run:
    try:
        return Run(runtime, file, run())
    except Exception as error:  # each runtime has its own errors, and all of them mean the same here
        return Run(runtime, file, failure=first_line(error))


def _eager(folder: _Folder) -> Verdict:
    artifact = load_artifact(folder.path)
    answers = in_batches(partial(eager, artifact.encoder, artifact.quantizer), folder.golden.inputs)
    return compare(folder.golden, answers, artifact.quantizer)


def _further(path: Path, bits: int) -> Verdict:
    return verify_golden(load_artifact(path, bits=bits), path)


def _onnx(folder: _Folder, file: str) -> Run:
    if find_spec("onnxruntime") is None:
        return Run("onnx", file, note=f"not run: onnxruntime is not installed; {INSTALL}")

    def run() -> Verdict:
        with OnnxForm(folder.read(file)) as form:
            return compare(folder.golden, in_batches(form, folder.golden.inputs), folder.quantizer)

    return _tried(f"onnx (onnxruntime {runtime_version()})", file, run)


def _program(folder: _Folder, file: str, *, trust: bool) -> Run:
    if not trust:
        return Run("pt2", file, note="not run: loading it unpickles; add --trust if you trust where it comes from")

    def run() -> Verdict:
        with ProgramForm(folder.read(file)) as form:
            return compare(folder.golden, in_batches(form, folder.golden.inputs), folder.quantizer)

    return _tried(f"pt2 (torch {torch.__version__})", file, run)


class _Faiss:
    """Empty indexes filled with the golden items, whose codes must be those that they keep.

    The indexes of a folder share a process, unless one of them ends it.
    """

    def __init__(self, folder: _Folder) -> None:
        self.folder = folder
        self._process: Process | None = None

    def __call__(self, file: str) -> Verdict:
        """The verdict on one file."""
        content, own = self.folder.read(file), Path(file).name
        require_empty(content, file)
        golden, quantizer = self.folder.golden, self.folder.quantizer
        if own == "latent.faiss":
            value, codes = self._ask("latent", content, golden.features, "features")
            return self._latent(value, codes)
        if own.startswith("binary"):
            (distances,) = self._ask("of codes", content, golden.codes, "bytes of codes")
            return Verdict(len(golden.codes), int(distances.sum()), 0, 0.0)
        decoded = quantizer.decode(golden.codes)  # what is decoded has its own code
        (codes,) = self._ask("of vectors", content, decoded, "embeddings")
        codes = codes[:, -code_bytes(quantizer.bits) :]  # behind the number of the list, where there are lists
        return compare(golden, Answers(codes, decoded, golden.features), quantizer)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.close()

    def _ask(self, kind: str, content: bytes, items: np.ndarray, what: str) -> tuple[np.ndarray, ...]:
        if self._process is None:
            self._process = Process(FaissSession)
        try:
            request = Message({"kind": kind}, (np.frombuffer(content, np.uint8), items))
            answer = self._process.ask(request, seconds=LOAD_SECONDS)
        except ProcessError:
            self.close()
            self._process = None
            raise
        width = answer.fields.get("width", items.shape[1])
        if width != items.shape[1]:
            raise ArtifactError(f"it holds {width} {what}, wanted {items.shape[1]}; export it again")
        return answer.arrays

    def _latent(self, value: np.ndarray, codes: np.ndarray) -> Verdict:
        """The bits of W x + b ≥ 0; near 0 a sigmoid is 4 times as flat, so 4 · `SOFT_BIT` of the value are soft."""
        golden, bits = self.folder.golden, self.folder.quantizer.bits
        differs = unpack(codes, bits) != unpack(golden.codes, bits)
        soft = differs & (np.abs(value) <= 4 * SOFT_BIT)
        return Verdict(len(golden.codes), int((differs & ~soft).sum()), int(soft.sum()), 0.0)
