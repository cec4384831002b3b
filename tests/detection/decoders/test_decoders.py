"""The registry of decoders."""

from pathlib import Path

from dqh.detection import decoders
from dqh.detection.decoders import DECODERS, Settings


def test_every_file_but_the_protocol_is_a_decoder() -> None:
    files = {file.stem for file in Path(decoders.__file__).parent.glob("*.py")} - {"__init__", "decoder"}
    assert set(DECODERS) == files
    assert "yolox" in files
    assert all(decoder.name == name and isinstance(decoder.usual, Settings) for name, decoder in DECODERS.items())
