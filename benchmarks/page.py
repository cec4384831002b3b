"""How long somebody waits before the page of `dqh serve`: from an upload to dots and answers, from a box to answers.

    python benchmarks/page.py --data DIR --model yolox_nano.onnx --weights mobilenet_v2.pt --runs DIR

DIR of --data, --model, --weights and --runs are as of `look.py`, which makes artifact, detector and a small index of
photos and objects, once. The index that is served has --rows rows, images and objects, which repeat those of the small
one: each copy has code bits turned over with the probability --flip, and features with normal noise, from a seed; its
folder is a link to the photos, so that every answer has its picture. Encoder and detector run by ONNX Runtime.

In Chromium on the same cores, --repeats times for each query photo, on a page that is loaded anew: the photo is chosen,
and when its answers are there a box is dragged over the middle of it. Times are of the browser, to the drawing that
has them: the dots, the first answers, all thumbnails of them that are in sight, and the answers for the box from the
moment at which the mouse is let go. --large of the photos are brought a second time, enlarged to 12 megapixels with
noise, as a telephone's are: the browser makes those smaller before it sends them. Writes
benchmarks/results/page.json and page.md.
"""

import argparse
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from look import artifact_of, dqh, small_index
from neighbours import busy_cores, in_words
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from quality import RESULTS, where
from running_service import running
from service_writer import quantiles

from dqh.environment import environment
from dqh.index.store import Header, Row, Writer, open_index

COMMAND = "python benchmarks/page.py --data DIR --model yolox_nano.onnx --weights mobilenet_v2.pt --runs DIR"
TARGET = 2000.0
"""Milliseconds, 95th percentile, from an upload to the first answers."""

STEPS = {
    "dots": "upload to dots",
    "answers": "upload to first answers",
    "pictures": "upload to their thumbnails in sight",
    "part": "box to its first answers",
}
DIALOGUE = "upload to dots, box, and its answers"

WATCH = """(() => {
  const times = (window.times = {});
  const seen = (name, since) => {
    if (name in times) return;
    requestAnimationFrame(() => setTimeout(() => {
      times[name] ??= performance.now() - since;
      document.documentElement.dataset[name] = "";
    }));
  };
  let chosen = 0, released = 0;
  addEventListener("change", () => (chosen = performance.now()), true);
  addEventListener("pointerup", () => (released = performance.now()), true);
  const look = () => {
    if (!chosen) return;
    if (document.querySelector(".dot")) seen("dots", chosen);
    const heading = document.querySelector("#answers")?.textContent ?? "";
    const images = [...document.querySelectorAll(".results .tile img")];
    const isSighted = (image) => image.getBoundingClientRect().top < innerHeight;
    if (/like this$/.test(heading) && images.length) {
      seen("answers", chosen);
      if (images.every((image) => image.complete || !isSighted(image))) seen("pictures", chosen);
    }
    if (released && /like this part$/.test(heading)) seen("part", released);
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
  setInterval(look, 8); // of pictures that come, and of layouts
})();"""


def large_index(given: argparse.Namespace, runs: Path, small: Path) -> Path:
    """The rows of an index again and again, each copy below a link to the photos."""
    index = runs / f"{given.rows}.page.index"
    if index.exists():
        return index
    version = open_index(small).version
    root = runs / "copies"
    root.mkdir(exist_ok=True)
    rows = np.arange(len(version))
    stored, codes, features = version.rows(rows), version.codes(rows), version.read_features(rows).astype(np.float32)
    generator, spread = np.random.default_rng(0), features.std(axis=0)
    header = Header.of(small, version.manifest)._replace(root=str(root))
    with Writer(index, header) as writer:
        for copy in range(-(-given.rows // len(rows))):
            count = min(len(rows), given.rows - copy * len(rows))
            if not (root / str(copy)).exists():
                (root / str(copy)).symlink_to(version.manifest.root)
            turned = np.packbits(
                generator.random((len(rows), version.manifest.bits)) < given.flip, axis=1, bitorder="little"
            )
            noisy = features + given.flip * spread * generator.standard_normal(features.shape, np.float32)
            named = [
                Row(f"{copy}/{row.path}", row.labels, row.box, row.content_hash, row.object, row.score)
                for row in stored[:count]
            ]
            writer.add(named, (codes ^ turned)[:count], noisy[:count])
        writer.commit(beside={"encoder.json": (small / "encoder.json").read_bytes()})
    return index


def visit(page: Page, url: str, photo: Path) -> dict[str, float]:
    """Milliseconds of one visit, by step; dots are left out of a photo in which the detector sees nothing."""
    page.goto(url)
    page.locator(".tile").first.wait_for()
    page.locator("input[type=file]").first.set_input_files(photo)
    page.locator("#answers", has_text="like this").wait_for()
    page.locator("html[data-pictures]").wait_for()
    area = page.locator(".overlay").bounding_box()
    assert area is not None
    corners = [(area["x"] + share * area["width"], area["y"] + share * area["height"]) for share in (0.2, 0.8)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=5)
    page.mouse.up()
    page.locator("html[data-part]").wait_for()
    times: dict[str, float] = page.evaluate("window.times")
    return times


def visits(url: str, photos: Sequence[Path], given: argparse.Namespace) -> list[dict[str, float]]:
    """All visits."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        version = browser.version
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(WATCH)
        page = context.new_page()
        visit(page, url, photos[0])
        rows = [visit(page, url, photo) for _ in range(given.repeats) for photo in photos]
        browser.close()
    print(f"Chromium {version}, {len(rows)} visits")
    return rows


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Quantiles of each step, and of a whole dialogue."""
    told = {name: quantiles([row[step] for row in rows if step in row]) for step, name in STEPS.items()}
    whole = [row.get("dots", row["answers"]) + row["part"] for row in rows]
    return told | {DIALOGUE: quantiles(whole)}


def enlarged(photos: Sequence[Path], folder: Path) -> list[Path]:
    """The photos as a telephone would have taken them."""
    folder.mkdir(exist_ok=True)
    generator, large = np.random.default_rng(0), []
    for photo in photos:
        image = Image.open(photo).convert("RGB").resize((4032, 3024), Image.Resampling.BICUBIC)
        noise = generator.normal(0, 6, (3024, 4032, 1))
        large.append(folder / photo.name)
        pixels = (np.asarray(image) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(large[-1], "JPEG", quality=90)
    return large


def page_of(results: Mapping[str, Any]) -> str:
    """The results as markdown."""
    neighbours = in_words(results["busy_cores_before"])
    lines = [
        f"# The page\n\n{neighbours[0].upper()}{neighbours[1:]}. {where(results['environment'])}.\n\n    {COMMAND}",
        f"\n{results['rows']:,} rows of 128 bits, images and objects; MobileNetV2 and YOLOX-nano by ONNX Runtime; "
        f"{results['visits']} visits with {results['photos']} photos whose shorter side has 256 pixels, in Chromium on "
        f"the same cores as the service, 1280 × 900 pixels.\n",
        "| milliseconds | p50 | p95 | p99 |\n|---|--:|--:|--:|",
        *(
            f"| {name} | {' | '.join(f'{own[quantile]:.0f}' for quantile in ('p50', 'p95', 'p99'))} |"
            for name, own in results["steps"].items()
        ),
    ]
    large = results["large"]
    lines += [
        f"\n{large['visits']} visits with photos of 12 megapixels, {large['megabytes']:.1f} MB:\n",
        "| milliseconds | p50 | p95 |\n|---|--:|--:|",
        *(f"| {name} | {own['p50']:.0f} | {own['p95']:.0f} |" for name, own in large["steps"].items()),
    ]
    verdict = "met" if results["steps"][STEPS["answers"]]["p95"] <= TARGET else "missed"
    lines.append(f"\nTarget: first answers within {TARGET:,.0f} ms at p95; {verdict}.")
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "model", "weights", "runs"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--flip", type=float, default=0.05)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--large", type=int, default=8, help="photos that are enlarged")
    parser.add_argument("--most", type=int, help="photos; all where it is not given")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if given.chromium is None:
        parser.error("no Chromium is here; name one by --chromium")
    runs = given.runs.resolve() / "look"
    runs.mkdir(parents=True, exist_ok=True)
    artifact = artifact_of(given, runs)
    if not (artifact / "encoder.onnx").exists():
        subprocess.run(dqh("export", artifact, "--to", "onnx"), check=True)
    index = large_index(given, runs, small_index(given, runs, artifact))
    names = [line.split()[0] for line in (given.data / "query.txt").read_text().splitlines()][: given.most]
    photos = [given.data / name for name in names]
    large = enlarged(photos[: given.large], runs / "large")
    busy = busy_cores()
    how = ("--artifact", artifact, "--detector", runs / "detector", "--runtime", "onnx")
    with running(index, *how, messages=runs / "messages") as service:
        rows, large_rows = visits(service.url, photos, given), visits(service.url, large, given)
    results: dict[str, Any] = {"command": COMMAND, "environment": environment(command=COMMAND, seed=0)}
    results |= {"rows": given.rows, "photos": len(names), "visits": len(rows), "busy_cores_before": busy}
    megabytes = float(np.mean([photo.stat().st_size for photo in large])) / 2**20
    results |= {"steps": summary(rows)}
    results |= {"large": {"visits": len(large_rows), "megabytes": megabytes, "steps": summary(large_rows)}}
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "page.json").write_text(json.dumps(results, indent=1) + "\n")
    (given.out / "page.md").write_text(page_of(results) + "\n")
    print(page_of(results))


if __name__ == "__main__":
    main()
