"""The script in the artifact, run as a service would: in a process in which torch and this package do not exist."""

import inspect
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dqh import terminal
from dqh.artifact import load_artifact
from dqh.artifact.golden import eager
from dqh.data.images import to_array
from dqh.data.pixels import MAX_BYTES, decode
from dqh.errors import BadImageError
from dqh.export import verify_onnx
from dqh.inputs import InputSpec
from tests.artifact.conftest import KINDS
from tests.artifact.test_reading import npy
from tests.data.test_caps import encode, progressive
from tests.data.test_pixels import odd_exif, two_tone
from tests.export.test_verify import forge

WITHOUT = """
import runpy, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "dqh", "faiss", "safetensors", "torchvision"}:
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", WITHOUT, str(folder / "verify_onnx.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Images of every awkward sort, and the bytes of one in each."""
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    whole = Image.fromarray(pixels).resize((50, 30))
    made = {
        "plain.jpg": (whole, {}),
        "turned.jpg": (whole, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
        "cmyk.jpg": (whole.convert("CMYK"), {}),
        "palette.png": (whole.quantize(16), {}),
        "clear.png": (whole.convert("RGBA").rotate(20), {}),
        "deep.png": (Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257), {}),
        "small.png": (whole.resize((18, 18)), {}),
    }
    for name, (image, more) in made.items():
        image.save(tmp_path / name, **more)
    return [tmp_path / name for name in made]


def test_it_encodes_images_as_the_package_does(formed: Callable[[str], Path], photos: list[Path]) -> None:
    artifact = load_artifact(formed("binary"))
    answer = run(formed("binary"), *map(str, photos))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "5 golden inputs, 0 bits flipped, 0 soft bits differ" in answer.stdout
    inputs = np.stack([to_array(decode(photo.read_bytes()), artifact.encoder.spec)[:, 1:17, 1:17] for photo in photos])
    wanted = eager(artifact.encoder, artifact.quantizer, inputs).codes
    assert answer.stdout.splitlines()[3:] == [
        f"{code.tobytes().hex()}  {photo}" for code, photo in zip(wanted, photos, strict=True)
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_the_terminal_cannot_hold(encoding: str, formed: Callable[[str], Path], tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    names = [os.fsencode(tmp_path) + b"/caf\xe9.png", os.fsencode(tmp_path) + "/ü.png".encode()]
    for name in names:
        Path(os.fsdecode(name)).write_bytes((tmp_path / "a.png").read_bytes())
    program = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-X", "utf8", "-c", program, str(formed("binary") / "verify_onnx.py"), *names]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    answer = subprocess.run(command, capture_output=True, check=False, env=environment)
    wanted = names if encoding == "utf-8" else [names[0], os.fsencode(tmp_path) + b"/\\xfc.png"]
    assert (answer.returncode, answer.stderr) == (0, b"")
    assert [line.split(b"  ", 1)[1] for line in answer.stdout.splitlines()[3:]] == wanted


@pytest.mark.parametrize(
    ("raised", "where", "status", "message"),
    [
        (PermissionError(13, "Permission denied", "export.json"), "Form", 1, "export.json: Permission denied"),
        (MemoryError(), "Form", 1, "not enough memory"),
        (MemoryError(), "read_image", 2, "a.png: not enough memory"),
    ],
)
def test_what_the_system_refuses_is_told(
    raised: Exception,
    where: str,
    status: int,
    message: str,
    formed: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(*given: object) -> None:
        raise raised

    (tmp_path / "a.png").write_bytes(b"")
    form = verify_onnx.Form(formed("binary"))
    monkeypatch.setattr(verify_onnx, "Form", lambda folder: form)
    monkeypatch.setattr(verify_onnx, "verify", lambda form: True)
    monkeypatch.setattr(verify_onnx, where, refused)
    assert verify_onnx.main([str(tmp_path / "a.png")]) == status
    assert message in capsys.readouterr().err


def test_it_reads_pixels_as_the_package_does(formed: Callable[[str], Path], photos: list[Path]) -> None:
    spec = load_artifact(formed("binary")).encoder.spec
    for photo in photos:
        content = photo.read_bytes()
        wanted = to_array(decode(content), spec)[:, 1:17, 1:17]
        assert np.array_equal(verify_onnx.read_image(content, spec.to_json()), wanted), photo.name


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_counts_whatever_stands_beside_it(kind: str) -> None:
    content = encode(two_tone(), kind, exif=odd_exif(5, struct.pack("<ii", -1, 3)))
    spec = InputSpec(size=4, resize=4)
    wanted = to_array(decode(content), spec)
    assert wanted[0, 0].min() > 200 > 100 > wanted[0, 3].max()
    assert np.array_equal(verify_onnx.read_image(content, spec.to_json()), wanted)


def hostile() -> dict[str, bytes]:
    """Files that cost too much, one of each cap, and some that just do not."""
    jpeg = bytearray(encode(Image.new("RGB", (24, 16)), "JPEG", progressive=True))
    size = jpeg.index(b"\xff\xc2") + 5
    jpeg[size : size + 4] = struct.pack(">HH", 9400, 9400)
    transparent = Image.new("RGBA", (8200, 8000))
    return {
        "scans.jpg": progressive(101, thumbnail=progressive(90)),
        "scans_enough.jpg": progressive(100, thumbnail=progressive(90)),
        "pixels.bmp": encode(Image.new("1", (9460, 9460)), "BMP"),
        "memory_by_header.jpg": bytes(jpeg),
        "memory_to_convert.png": encode(transparent, "PNG", compress_level=1),
        "memory_to_turn.jpg": encode(Image.new("L", (8000, 8000)).convert("RGB"), "JPEG", exif=turned()),
        "pieces.jpg": encode(Image.new("L", (8, 8)), "JPEG").replace(
            b"\xff\xd8", b"\xff\xd8" + b"\xff\xfe\0\2" * 400_000
        ),
        "plain.ppm": b"P2 1001 1000 255\n" + b"7 " * 1001000,
        "strips.tif": encode(Image.new("L", (1, 100_001)), "TIFF", tiffinfo={278: 1}),
        "empty.jpg": b"",
        "text.jpg": b"no image",
        "float.tif": encode(Image.new("F", (2, 2)), "TIFF"),
    }


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_its_verdicts_are_those_of_the_package(formed: Callable[[str], Path], tmp_path: Path) -> None:
    wanted = {}
    for name, content in hostile().items():
        (tmp_path / name).write_bytes(content)
        try:
            decode(content)
        except BadImageError as error:
            wanted[name] = f"{tmp_path / name}: {error}; give an image file"
    with (tmp_path / "bytes.png").open("wb") as large:
        large.truncate(MAX_BYTES + 1)
    names = [*hostile(), "bytes.png"]
    answer = run(formed("binary"), *(str(tmp_path / name) for name in names))
    wanted["bytes.png"] = f"{tmp_path / 'bytes.png'}: larger than max_bytes={MAX_BYTES}; give an image file"
    assert answer.stderr.splitlines() == list(wanted.values())
    assert [line.rpartition("/")[2] for line in answer.stdout.splitlines()[3:]] == ["scans_enough.jpg"]
    assert answer.returncode == 2


@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_answers_hold(kind: str, formed: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_onnx.verify(verify_onnx.Form(formed(kind)))
    assert "0 bits flipped" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_a_golden_code_that_differs_is_a_flip(
    kind: str, copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied(kind)
    codes = np.load(path / "golden" / "codes.npy")
    codes[0, 0] ^= 1
    forge(path, "golden/codes.npy", npy(codes))
    assert not verify_onnx.verify(verify_onnx.Form(path))
    assert "1 bits flipped, 0 soft" in capsys.readouterr().out


def test_equally_near_codewords_are_soft(copied: Callable[[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Codewords 7 and 9 of the second subspace are equal: whichever is named, nothing is wrong. Bits 4 to 7 say it."""
    path = copied("pq")
    form = verify_onnx.Form(path)
    embedding = np.zeros((1, 12), np.float32)
    tensors = form.tensors()
    embedding[0] = np.concatenate([tensors["codebooks"][0, 3], tensors["codebooks"][1, 7], np.zeros(4)]) @ (
        tensors["rotation"].T
    )
    bits = [np.array([[1, 1, 0, 0, *(number >> np.arange(4) & 1), 0, 0, 0, 0]], bool) for number in (7, 9)]
    assert form.soft(embedding, *bits)[0].tolist()[4:8] == [True] * 4
    other = np.array([[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], bool)
    assert form.soft(embedding, bits[0], other)[0].tolist()[4:8] == [False] * 4


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
@pytest.mark.parametrize("name", ["encoder.onnx", "artifact.json", "golden/image.jpg", "split.json"])
def test_damage_is_found(name: str, damage: str, copied: Callable[[str], Path]) -> None:
    path = copied("binary")
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 4
    if damage == "remove":
        (path / name).unlink()
    else:
        (path / name).write_bytes(content if damage == "flip" else content[:-3])
    with pytest.raises(verify_onnx.Damaged):
        verify_onnx.verify(verify_onnx.Form(path))


def test_what_cannot_be_used_is_said(copied: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    answer = run(copied("binary"), str(tmp_path / "text.jpg"), str(tmp_path / "none.jpg"))
    assert answer.returncode == 2
    assert "text.jpg: not an image in a known format" in answer.stderr
    assert "none.jpg: " in answer.stderr
    (tmp_path / "binary" / "encoder.onnx").unlink()
    answer = run(tmp_path / "binary")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "damaged: encoder.onnx is missing; copy the folder again, or export it again\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95.",
        b"\x93NUMPY\x01\x00\x10\x00{'descr': '|O', }",
        npy(np.ones(3, np.uint8))[:-1],
        npy(np.array([None])),
    ],
)
def test_arrays_that_are_none(content: bytes, copied: Callable[[str], Path]) -> None:
    path = copied("binary")
    forge(path, "golden/inputs.npy", content)
    with pytest.raises(verify_onnx.Damaged, match=r"golden/inputs.npy is no array of this format"):
        verify_onnx.verify(verify_onnx.Form(path))


def test_it_writes_names_as_the_commands_do() -> None:
    """It must stand alone, so that the handler of stdout is there twice."""
    assert inspect.getsource(verify_onnx.written) == inspect.getsource(terminal.written)
