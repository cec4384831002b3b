"""Attacks on the folders of artifacts and hand-overs: is anything of others lost, or foreign trusted, does it hang?

    python benchmarks/attacks_folders.py RUN/artifact

Works on copies. Files of somebody else and links are put in the way of every writer; a pipe in the place of every file;
nonsense in every field of the manifest, hashed anew; and writers are killed at random moments. Survived means: what is
of others is as it was and nothing behind a link changed; the pipe is named within ten seconds; the nonsense is refused;
the folder is whole after the kill, and the next run completes and leaves no trace of it.
Writes benchmarks/results/attacks_folders.json and .md.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from quality import where

from dqh.artifact import load_artifact, save_artifact
from dqh.artifact.manifest import damages, manifest_name, read_manifest, unlisted
from dqh.environment import environment
from dqh.errors import DqhError
from dqh.export.artifact.faiss_form import Lists
from dqh.export.artifact.forms import export_forms
from dqh.export.index import hand_over
from dqh.export.verify import verify
from dqh.index.store import Header, Row, Writer
from dqh.quantizers import Threshold
from dqh.sealed import seal

RESULTS = Path(__file__).resolve().parent / "results"
OTHERS = (".new-1/thesis.txt", ".new-x", "faiss/thesis.txt", "parquet/thesis.txt", "quantizer.safetensors", "cache/a")
NONSENSE: tuple[Any, ...] = (None, True, 1.5, -1, 2**60, "x", "", [], {}, [None], {"x": None})
FREE = ("files", "training", "metrics", "versions", "class_names", "method")
"""Fields whose content is free, or checked by other attacks."""


def small_index(path: Path) -> Path:
    """Two hundred rows of random codes and features."""
    generator = np.random.default_rng(0)
    with Writer(path, Header("e", Threshold(12), 5)) as writer:
        codes = Threshold(12).encode(generator.random((200, 12)).astype(np.float32))
        rows = [Row(f"{number}.jpg") for number in range(200)]
        writer.add(rows, codes, generator.random((200, 5)).astype(np.float32))
        writer.commit()
    return path


def writers(artifact: Path, index: Path) -> dict[str, Callable[[Path], Any]]:
    """Name → what writes into a folder."""
    loaded = load_artifact(artifact)
    return {
        "save": lambda path: save_artifact(loaded, path, golden={}),
        "export --out": lambda path: export_forms(artifact, ["faiss"], out=path, lists=Lists(4)),
        "export": lambda path: export_forms(path, ["faiss"], lists=Lists(4)),
        "hand over": lambda path: hand_over(index, ["faiss", "parquet"], out=path),
    }


def state(path: Path) -> dict[str, bytes | str]:
    """All that lies below a folder."""
    return {
        str(place.relative_to(path)): str(place.readlink()) if place.is_symlink() else place.read_bytes()
        for place in path.rglob("*")
        if place.is_symlink() or place.is_file()
    }


def attempt(call: Callable[[], Any]) -> str:
    """`done` or `refused`; anything else goes through."""
    try:
        call()
    except DqhError:
        return "refused"
    return "done"


def begun(name: str, write: Callable[[Path], Any], artifact: Path, path: Path, *, before: bool) -> None:
    """A folder as the writer finds it: that of an earlier run, or an empty one."""
    if name == "export":
        shutil.copytree(artifact, path)
    else:
        path.mkdir()
    if before and name != "save":
        write(path)


def others(counts: Counter[str], scratch: Path, artifact: Path, commands: dict[str, Callable[[Path], Any]]) -> None:
    """Files of somebody else, and folders and files that are links."""
    outside = scratch / "outside"
    for name, write in commands.items():
        for before in (False, True):
            for number, other in enumerate(OTHERS):
                path = scratch / f"{name}-{before}-{number}"
                begun(name, write, artifact, path, before=before)
                if (path / other).exists():
                    continue
                (path / other).parent.mkdir(parents=True, exist_ok=True)
                (path / other).write_bytes(b"mine")
                attempt(lambda write=write, path=path: write(path))
                counts["foreign file, tried"] += 1
                counts["foreign file, survived"] += (path / other).read_bytes() == b"mine"
            begun(name, write, artifact, scratch / "plan", before=before)
            names = {"faiss", "parquet", "golden", ".new-1", *(each.name for each in (scratch / "plan").iterdir())}
            shutil.rmtree(scratch / "plan")
            for link in sorted(names):
                path = scratch / "linked"
                begun(name, write, artifact, path, before=before)
                if (path / link).exists():
                    (path / link).rename(outside)
                else:
                    outside.mkdir()
                    (outside / "thesis.txt").write_bytes(b"mine")
                (path / link).symlink_to(outside)
                kept = state(outside) or outside.read_bytes()
                attempt(lambda write=write, path=path: write(path))
                counts["link, tried"] += 1
                counts["link, survived"] += (state(outside) or outside.read_bytes()) == kept
                shutil.rmtree(path)
                outside.unlink() if outside.is_file() else shutil.rmtree(outside)


def pipes(counts: Counter[str], path: Path) -> None:
    """A pipe in the place of every file: verified and loaded within ten seconds."""

    def late(*given: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    name = manifest_name(path)
    for file in [name, *read_manifest(path, name)["files"]]:
        (path / file).rename(path.parent / "kept")
        os.mkfifo(path / file)
        signal.alarm(10)
        counts["pipe, tried"] += 1
        try:
            counts["pipe, survived"] += not verify(path).holds
        except DqhError:
            counts["pipe, survived"] += 1
        except TimeoutError:
            pass
        signal.alarm(0)
        (path / file).unlink()
        (path.parent / "kept").rename(path / file)


def nonsense(counts: Counter[str], path: Path) -> None:
    """Every field, and every field of an object, as something else."""
    original = read_manifest(path)
    places = [(name,) for name in original if name not in FREE]
    places += [(name, inner) for (name,) in places if isinstance(original[name], dict) for inner in original[name]]
    for place in places:
        for value in (*NONSENSE, "removed"):
            manifest = json.loads(json.dumps(original))
            inner = manifest if len(place) == 1 else manifest[place[0]]
            if value == "removed":
                del inner[place[-1]]
            elif json.dumps(inner[place[-1]]) == json.dumps(value):
                continue
            else:
                inner[place[-1]] = value
            if place == ("code_distance",) and value == "removed":  # what older versions did not write
                continue
            if place[0] == "data" and len(place) == 2 and place[1] != "split_sha256":  # texts and a seed, as they are
                continue
            (path / "artifact.json").write_bytes(seal(manifest))
            counts["nonsense in a field, tried"] += 1
            refused = [attempt(lambda: load_artifact(path)), attempt(lambda: verify(path))] == ["refused"] * 2
            counts["nonsense in a field, survived"] += refused
            if not refused:
                print("not refused:", place, value)
    (path / "artifact.json").write_bytes(seal(original))


def kills(
    counts: Counter[str], scratch: Path, artifact: Path, commands: dict[str, Callable[[Path], Any]], number: int
) -> None:
    """Writers in processes of their own, killed at a random moment of the time that they take."""
    generator, context = np.random.default_rng(0), multiprocessing.get_context("fork")
    for name in ("export", "hand over"):
        write, path = commands[name], scratch / f"killed {name}"
        begun(name, write, artifact, path, before=True)
        start = time.perf_counter()
        write(path)
        duration = time.perf_counter() - start
        (path / "faiss" / "thesis.txt").write_bytes(b"mine")
        for _ in range(number):
            process = context.Process(target=write, args=(path,))
            process.start()
            time.sleep(1.2 * duration * generator.random())
            process.kill()
            process.join()
            listed = manifest_name(path)
            files = read_manifest(path, listed)["files"]
            whole = not damages(path, files, listed)
            write(path)
            files = read_manifest(path, listed)["files"]
            clean = not damages(path, files, listed) and unlisted(path, files, listed) == ["faiss/thesis.txt"]
            counts[f"kill of {name}, tried"] += 1
            counts[f"kill of {name}, survived"] += whole and clean


def main() -> None:
    """Attack and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--kills", type=int, default=20, help="of each writer")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        artifact = Path(shutil.copytree(given.artifact, scratch / "artifact"))
        commands = writers(artifact, small_index(scratch / "index"))
        others(counts, scratch, artifact, commands)
        nonsense(counts, artifact)
        commands["hand over"](scratch / "out")
        pipes(counts, artifact)
        pipes(counts, scratch / "out")
        kills(counts, scratch, artifact, commands, given.kills)
    command = f"python benchmarks/attacks_folders.py RUN/artifact --kills {given.kills}"
    about = environment(seed=0, command=command)
    kinds = [key.removesuffix(", tried") for key in counts if key.endswith(", tried")]
    lines = [
        f"# Attacks on the folders of artifacts and hand-overs\n\n{where(about)}.\n\n    {command}\n",
        "| kind | tried | survived |\n|---|---|---|",
        *(f"| {kind} | {counts[f'{kind}, tried']} | {counts[f'{kind}, survived']} |" for kind in kinds),
    ]
    content = {"command": command, "environment": about, "counts": dict(counts)}
    (given.out / "attacks_folders.json").write_text(json.dumps(content, indent=1) + "\n")
    (given.out / "attacks_folders.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
