import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dqh.service import queries
from tests.service.conftest import Serve, encoded

GROWS = """
from pathlib import Path
from PIL import Image
from dqh.service.freed_memory import give_back

def held():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024

bytearray(31 * 2**20)  # from here on the allocator keeps blocks below this size
images = [Image.new("RGB", (8000, 5000)) for _ in range(2)]
kept = bytearray(2**20)  # lies behind what is let go
for image in images:
    image.close()
before = held()
give_back()
print(before - held())
"""


@pytest.mark.slow
def test_what_large_images_leave_is_given_back() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("the system has another allocator than that of glibc")
    done = subprocess.run([sys.executable, "-c", GROWS], check=True, capture_output=True, text=True)
    assert float(done.stdout) > 20


def test_it_is_given_back_after_large_images_alone(
    indexed: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(queries, "give_back", lambda: calls.append(1))
    client = serve(indexed)
    for side, wanted in ((100, 0), (2001, 1)):
        content = encoded(Image.new("RGB", (side, 2000)), "PNG")
        assert client.post("/v1/search?k=1", content=content).status_code == 200
        assert len(calls) == wanted
