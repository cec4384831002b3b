"""Whether a change of the code has left every number and byte as it was: keep them before, compare them after.

    python benchmarks/unchanged.py keep BEFORE --photos DIR
    … change the code …
    python benchmarks/unchanged.py keep AFTER --photos DIR
    python benchmarks/unchanged.py compare BEFORE AFTER

`keep` trains `digits` by dlbhc, dqn, hashnet and csq, all shallow baselines beside the first two, makes an index of the
photos in DIR with the encoders of the first two, and asks each for 20 of the photos, by codes alone and coarse-to-fine.
It takes some ten minutes on 2 cores; kept on one machine, with one number of threads, numbers repeat.

`compare` wants every value of `metrics.json` equal to the last digit, ends of intervals to 1e-12, the files of
artifacts and indexes equal byte for byte but for their manifests, whose fields are compared, and the answers equal.
Times, versions, dates, commands and hashes of what holds them are left out; how much was compared is printed.
Exit status 1 where something differs.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

METHODS = ("dlbhc", "dqn", "hashnet", "csq")
INDEXED = METHODS[:2]
BASELINES = {"dlbhc": "[lsh,sh,itq,itq_cca,ksh,vq,pq,opq]", "dqn": "[lsh,sh,itq,itq_cca,ksh,vq,pq,opq]"}
QUERIES = 20
SHOWN = 20

LEFT_OUT = {
    "command",
    "created",
    "date",
    "environment",
    "images_per_s",
    "images_per_second",
    "qps",
    "query_ms",
    "seconds",
    "self_sha256",
    "versions",
    "waiting_seconds",
    "wall_seconds",
    "warm_up_seconds",
}
"""Fields of times, versions and commands, and of hashes over them."""

ENDS = {"low", "high"}
TOLERANCE = 1e-12
RUN = r"/\d{4}-\d\d-\d\d/[^/]*"
"""Of a run's folder, the part that tells when."""


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, or 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    keeping = verbs.add_parser("keep")
    keeping.add_argument("folder", type=Path)
    keeping.add_argument("--photos", type=Path, required=True)
    comparing = verbs.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args(arguments)
    if given.verb == "compare":
        return compare(given.before, given.after)
    keep(given.folder.resolve(), given.photos.resolve())
    return 0


def keep(folder: Path, photos: Path) -> None:
    """Train, index and search into a new folder."""
    folder.mkdir(parents=True)
    for method in METHODS:
        baselines = [f"search.baselines={BASELINES[method]}"] if method in BASELINES else []
        _run("train.py", "data=digits", f"method={method}", "without_h=none", *baselines, f"runs={folder / method}")
    queries = sorted(str(file) for file in photos.rglob("*.jpg"))
    queries = queries[:: max(1, len(queries) // QUERIES)][:QUERIES]
    for method in INDEXED:
        index = folder / f"index_{method}"
        _run("-m", "dqh.cli", "index", str(_run_folder(folder, method) / "artifact"), str(photos), "--out", str(index))
        for rank in ("codes", "fine"):
            answer = _run("-m", "dqh.cli", "search", str(index), *queries, "--rank", rank, "--json")
            (folder / f"answers_{method}_{rank}.json").write_text(answer)


def compare(before: Path, after: Path) -> int:
    """Print what differs, and over how much; 1 where something does."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    shared = [place for place in old if place in new]
    different = [place for place in shared if not _equal(place, old[place], new[place])]
    lone = [f"only in {before}: {place}" for place in old if place not in new]
    lone += [f"only in {after}: {place}" for place in new if place not in old]
    for place in different[:SHOWN]:
        print(f"{place}\n    {old[place]!r:.110}\n    {new[place]!r:.110}")
    print(*lone[:SHOWN], sep="\n" if lone else "")
    print(f"{len(shared):,} values and files compared, {len(different):,} differ, {len(lone):,} are in one alone")
    return int(bool(different or lone or not shared))


def _run(*arguments: str) -> str:
    print(" ".join(arguments[:4]), "…", file=sys.stderr)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with status {done.returncode}")
    return done.stdout


def _run_folder(folder: Path, method: str) -> Path:
    return (folder / method / "latest").resolve()


def _leaves(folder: Path) -> Iterator[tuple[str, Any]]:
    """Every value that is compared, by its place: file, then keys."""
    folder, files = folder.resolve(), sorted(folder.glob("answers_*.json"))
    for method in METHODS:
        run = _run_folder(folder, method)
        files += [run / "metrics.json", *sorted(file for file in (run / "artifact").rglob("*") if file.is_file())]
    for method in INDEXED:
        files += sorted(file for file in (folder / f"index_{method}").rglob("*") if file.is_file())
    for file in files:
        place = re.sub(RUN, "", str(file.relative_to(folder)))  # one day's run folder
        if file.suffix == ".json":
            yield from _values(place, json.loads(file.read_text()), root=str(folder))
        else:
            yield place, file.read_bytes()


def _values(place: str, value: Any, *, root: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            if key not in LEFT_OUT:
                yield from _values(f"{place}/{key}", part, root=root)
    elif isinstance(value, list):
        yield f"{place} length", len(value)
        for number, part in enumerate(value):
            yield from _values(f"{place}/{number}", part, root=root)
    else:
        yield place, re.sub(RUN, "", value.replace(root, "…")) if isinstance(value, str) else value


def _equal(place: str, old: Any, new: Any) -> bool:
    if place.rpartition("/")[2] in ENDS and isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=0, abs_tol=TOLERANCE) or old == new
    return bool(old == new) or (old != old and new != new)


if __name__ == "__main__":
    sys.exit(main())
