"""How much CPU the verbs take to start, against `import torch`: user time, median of interleaved ratios.

    python benchmarks/start.py --index DIR --query IMAGE [--search NAME DIR IMAGE …]

--index is an index whose artifact is where the index remembers it; each --search is one more, searched alone. Where the
artifact of an index has an ONNX form, it is searched by that too. Every round runs `python -c "import torch"` and each
verb in a process of its own, one after the other; a ratio is that of one round. What `import torchvision.models` alone
takes stands beside them: a verb whose network torchvision builds cannot take less. Writes
benchmarks/results/start.json and .md.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from quality import RESULTS, where

from dqh.collection import remembered_artifact
from dqh.environment import environment

ROUNDS = 7
NETWORKS = "import torchvision.models"
MODULES = ("torch", "torchvision", "torch._dynamo", "faiss", "pyarrow", "matplotlib", "onnxruntime")
PROGRAM = """
import sys
from dqh.cli import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
print("loaded", *(name for name in {modules!r} if name in sys.modules), file=sys.stderr)
raise SystemExit(status)
"""


def seconds(*arguments: str) -> tuple[float, str]:
    """User CPU of a Python process, and the last line that it told."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(arguments[-3:])} ended with status {done.returncode}:\n{done.stderr}")
    told = done.stderr.strip().splitlines() or [""]
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, told[-1]


def main() -> None:
    """Run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", required=True)
    parser.add_argument("--query", required=True)
    parser.add_argument("--search", nargs=3, action="append", default=[], metavar=("NAME", "DIR", "IMAGE"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    given = parser.parse_args()
    verbs = {
        "--help": ["--help"],
        "info": ["info", given.index],
        "check": ["check", given.index],
        "remove": ["remove", given.index, "--where", "path = 'none of this name'"],
    }
    for name, index, query in (["", given.index, given.query], *given.search):
        verbs[f"search {name}".strip()] = ["search", index, query]
        if (remembered_artifact(Path(index)) / "encoder.onnx").exists():
            verbs[f"search {name} --runtime onnx".replace("  ", " ")] = ["search", index, query, "--runtime", "onnx"]
    program, ratios, loaded = PROGRAM.format(modules=MODULES), {name: [] for name in [NETWORKS, *verbs]}, {}
    torch_seconds = []
    for _ in range(given.rounds):
        base, _ = seconds("-c", "import torch")
        torch_seconds.append(base)
        ratios[NETWORKS].append(seconds("-c", NETWORKS)[0] / base)
        loaded[NETWORKS] = ["torch", "torchvision", "torch._dynamo"]
        for name, arguments in verbs.items():
            spent, told = seconds("-c", program, *arguments)
            ratios[name].append(spent / base)
            loaded[name] = told.split()[1:] if told.startswith("loaded") else []
    about = environment(command="python benchmarks/start.py --index DIR --query IMAGE --search …", seed=0)
    result = {"environment": about, "import_torch": torch_seconds, "ratios": ratios, "loaded": loaded}
    lines = [
        "# CPU of a verb's start against `import torch`\n",
        f"{where(about)}.\n\n    {about['command']}\n",
        f"User CPU over that of `python -c 'import torch'`, {statistics.median(torch_seconds):.1f} s; median, least "
        f"and most of {given.rounds} rounds; a small index, one query.\n",
        "| verb | median | least | most | of the heavy packages it loads |",
        "|---|---|---|---|---|",
        *(
            f"| `{name}` | {statistics.median(each):.2f} | {min(each):.2f} | {max(each):.2f} | "
            f"{', '.join(loaded[name]) or 'none'} |"
            for name, each in ratios.items()
        ),
        "",
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "start.json").write_text(json.dumps(result, indent=1) + "\n")
    (given.out / "start.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
