"""What runs the service for others: the container, the unit, and the guide, whose commands run as they are printed."""

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from dqh.verbs.running import parser
from tests.collection.conftest import artifact
from tests.collection.seer import photo, photos
from tests.conftest import ROOT
from tests.service.running import running

__all__ = ["artifact"]

DOCKERFILE, UNIT, GUIDE = ROOT / "Dockerfile", ROOT / "deploy" / "dqh.service", ROOT / "docs" / "operating.md"
SCRIPTS = Path(sysconfig.get_path("scripts"))
TRAINS = ("torch", "torchvision", "pytorch_lightning", "lightning_fabric", "onnx", "onnxscript", "triton")
ELSEWHERE = ("Docker", "systemd", "A proxy with TLS")
"""Sections whose commands need what is not here, as each says."""

BLOCK = r"(?:^(?: {4}.*|)\n)*^ {4}.*\n"


def instructions() -> list[tuple[str, str]]:
    """Names and arguments of the Dockerfile, its continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def unit() -> dict[str, list[str]]:
    """The values of each key of the unit."""
    known: dict[str, list[str]] = {}
    for key, value in re.findall(r"^([A-Za-z]+)=(.*)$", UNIT.read_text(), flags=re.MULTILINE):
        known.setdefault(key, []).append(value)
    return known


def require_served(command: list[str]) -> None:
    """The words of a command are a `dqh serve` over the index, for whoever brings the token."""
    given = parser().parse_args(command)
    assert (given.run.__module__, given.index) == ("dqh.verbs.serve", Path("/srv/dqh/photos.index"))
    assert given.token_file is not None


class TestContainer:
    def test_hadolint_finds_nothing(self) -> None:
        hadolint = shutil.which("hadolint", path=f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}")
        if hadolint is None:
            pytest.skip("hadolint has no build for this system")
        done = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True)
        assert (done.stdout, done.returncode) == ("", 0), done.stderr

    def test_it_runs_the_service_as_nobody_in_particular(self) -> None:
        last = [name for name, _ in instructions()]
        final = dict(instructions()[len(last) - last[::-1].index("FROM") :])
        assert final["USER"] == "10001:10001"
        assert final["STOPSIGNAL"] == "SIGTERM"
        assert json.loads(final["ENTRYPOINT"]) == ["dqh"]
        command = json.loads(final["CMD"])
        require_served(command)
        assert command[command.index("--host") + 1] == "0.0.0.0"
        assert "/ready" in final["HEALTHCHECK"]

    def test_all_that_is_copied_goes_to_the_build(self) -> None:
        """What stands in COPY is there, and .dockerignore, which leaves all out but what it names, lets it through."""
        lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
        assert lines[0] == "*"
        through = {line[1:] for line in lines if line.startswith("!")}
        copied = [
            word
            for name, rest in instructions()
            if name == "COPY" and "--from" not in rest
            for word in shlex.split(rest)[:-1]
        ]
        assert len(copied) > 5
        for name in copied:
            assert any(fnmatch.fnmatch(known, name) for known in through), name
            assert name.endswith("*") or (ROOT / name).exists(), name

    @pytest.mark.slow
    def test_what_is_installed_has_no_torch(self) -> None:
        """The packages that the Dockerfile names, out of the versions that this checkout was installed with."""
        if shutil.which("uv") is None or not (ROOT / "uv.lock").exists():
            pytest.skip("what is installed is known to uv, which is not here, or has locked nothing")
        (run,) = [rest for name, rest in instructions() if name == "RUN" and "uv export" in rest]
        command = next(shlex.split(part) for part in run.split("&&") if "uv export" in part)
        command = [*command[: command.index("--output-file")], "--frozen", "--no-hashes", "--offline"]
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        names = set(re.findall(r"^([a-z0-9._-]+)==", listed, flags=re.MULTILINE))
        assert {"starlette", "uvicorn", "onnxruntime", "lightgbm", "faiss-cpu", "pyarrow"} <= names
        assert not {name for name in names if name.replace("-", "_") in TRAINS or name.startswith(("nvidia", "cuda"))}

    def test_compose(self) -> None:
        own: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["dqh"]
        require_served([str(word).replace("${DQH_HOST:-localhost}", "localhost") for word in own["command"]])
        assert (own["read_only"], own["cap_drop"], own["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
        assert own["user"] == dict(instructions())["USER"]
        assert all(volume["read_only"] and volume["source"] == volume["target"] for volume in own["volumes"])
        assert [port.rpartition(":")[0] for port in own["ports"]] == ["127.0.0.1:8000"]
        assert own["secrets"] == ["dqh_token"]


@pytest.mark.slow
def test_it_answers_without_what_trains(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service in whose processes torch and the others cannot be imported; an index of photos, and an upload."""
    made = exported(artifact, tmp_path)
    photos(tmp_path / "photos")
    dqh(tmp_path, "index", str(made), "photos", "--out", "photos.index", "--runtime", "onnx")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(
        "import sys\n\n\nclass Without:\n    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {TRAINS}:\n"
        "            raise ModuleNotFoundError(f'no {name} here', name=name)\n"
        "\n\nsys.meta_path.insert(0, Without())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    missing = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, text=True)
    assert "no torch here" in missing.stderr
    with running(tmp_path / "photos.index", messages=tmp_path / "messages") as service:
        content = (tmp_path / "photos" / "b" / "red.png").read_bytes()
        assert httpx2.post(f"{service.url}/v1/search?k=1", content=content).json()["hits"][0]["name"] == "b/red.png"
        assert httpx2.post(f"{service.url}/v1/lens?k=1", content=content).json()["results"]
        assert httpx2.get(f"{service.url}/v1/items/0/thumbnail").status_code == 200


class TestUnit:
    @pytest.fixture
    def here(self, tmp_path: Path) -> Path:
        """The unit, with a command that is here."""
        if shutil.which("systemd-analyze") is None:
            pytest.skip("systemd is not here")
        file = tmp_path / "dqh.service"
        file.write_text(UNIT.read_text().replace("/opt/dqh/bin/dqh", sys.executable))
        return file

    def test_systemd_understands_it(self, here: Path) -> None:
        done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True)
        assert (done.stderr, done.returncode) == ("", 0)

    def test_it_is_exposed_little(self, here: Path) -> None:
        """At most 1.5 of 10, by the table of systemd itself."""
        told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True).stdout
        if int(re.findall(r"systemd (\d+)", told)[0]) < 250:
            pytest.skip("systemd-analyze judges files since version 250")
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", here]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    def test_what_it_runs(self) -> None:
        known = unit()
        (command,) = known["ExecStart"]
        require_served(shlex.split(command)[1:])
        assert known["KillMode"] == ["mixed"]
        assert known["DynamicUser"] == ["yes"]
        assert known["ProtectSystem"] == ["strict"]
        guide = [line for line in GUIDE.read_text().splitlines() if line.startswith("    ExecStart=/")]
        assert parser().parse_args(shlex.split(guide[0])[1:]).related == Path("/data/rooms.related")


def test_the_guide_installs_what_the_unit_runs() -> None:
    """The extras of the container, an interpreter that ProtectHome leaves in sight, and the documentation it names."""
    (section,) = re.findall(r"^## systemd\n(.*?)^## ", GUIDE.read_text(), flags=re.MULTILINE | re.DOTALL)
    (extras,) = re.findall(r"uv pip install --python /opt/dqh '\.\[(.*)\]'", section)
    (packages,) = [rest for name, rest in instructions() if name == "RUN" and "uv export" in rest]
    assert set(extras.split(",")) == set(re.findall(r"--extra (\w+)", packages))
    (interpreters,) = re.findall(
        r"^    UV_PYTHON_INSTALL_DIR=(\S+) uv venv --managed-python .* /opt/dqh$", section, re.M
    )
    known = unit()
    assert known["ProtectHome"] == ["yes"]
    assert Path(interpreters).parts[1] not in ("home", "root", "run")
    (folder,) = re.findall(r"install -D -m 644 -t (\S+) docs/\*\.md", section)
    assert known["Documentation"] == [f"file:{folder}/service.md"]


def exported(artifact: Path, folder: Path) -> Path:
    """A copy of the artifact with the form that ONNX Runtime reads."""
    shutil.copytree(artifact, folder / "artifact")
    dqh(folder, "export", "artifact", "--to", "onnx")
    return folder / "artifact"


def dqh(folder: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dqh.cli", *words], cwd=folder, check=True, env=environment())


def environment() -> dict[str, str]:
    """`dqh` and `python` are those of the tests; the package is that of the checkout."""
    path = f"{SCRIPTS}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Sections of the guide with the commands of each block of theirs."""
    for section in GUIDE.read_text().split("\n## ")[1:]:
        name = section.partition("\n")[0]
        for block in re.findall(BLOCK, section, flags=re.MULTILINE):
            lines = [line[4:] for line in block.splitlines() if line.strip()]
            if name not in ELSEWHERE and not lines[0].startswith("- "):  # a part of a configuration
                yield name, lines


@pytest.mark.slow
def test_the_commands_of_the_guide(artifact: Path, tmp_path: Path) -> None:
    """In their order, in one folder; `dqh serve` is asked by what follows it in its section, on a port that is free."""
    shutil.copytree(artifact, tmp_path / "artifact")
    photos(tmp_path / "photos")
    photo(tmp_path / "photos" / "old" / "x.png", 9)
    (tmp_path / "service.log").write_text("")
    sections: dict[str, list[str]] = {}
    for name, lines in blocks():
        sections.setdefault(name, []).extend(lines)
    assert sum(map(len, sections.values())) > 14
    for lines in sections.values():
        served = next((number for number, line in enumerate(lines) if line.startswith("dqh serve ")), None)
        asks = [line for line in lines if "http://127.0.0.1:8000" in line]
        if served is None and not asks:
            run(lines, tmp_path)
            continue
        run(lines[:served] if served is not None else [], tmp_path)
        with running(tmp_path / "photos.index", messages=tmp_path / "service.log") as service:
            run([line.replace("http://127.0.0.1:8000", service.url) for line in asks], tmp_path)
    assert "metrics" in "".join(sections["Metrics"])


def run(lines: list[str], folder: Path) -> None:
    for line in lines:
        done = subprocess.run(["bash", "-c", line], cwd=folder, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.mark.slow
def test_the_metrics_of_the_guide_are_those_of_the_service(artifact: Path, tmp_path: Path) -> None:
    photos(tmp_path / "photos")
    dqh(tmp_path, "index", str(artifact), "photos", "--out", "photos.index")
    with running(tmp_path / "photos.index", "--device", "cpu", messages=tmp_path / "messages") as service:
        content = httpx2.get(f"{service.url}/metrics").text
    known = set(re.findall(r"^# TYPE (\w+) ", content, flags=re.MULTILINE))
    named = {name.removesuffix("_total") for name in re.findall(r"`(dqh_\w+?)(?:\{[^`]*)?`", GUIDE.read_text())}
    assert len(named) > 12
    assert named - {"dqh_token"} <= {name.removesuffix("_total") for name in known}
    assert {name.removesuffix("_total") for name in known if not name.endswith("_created")} <= named
