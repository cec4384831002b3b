"""`dqh detector`: a network that was exported to ONNX becomes a folder that detects."""

import argparse
import logging
from typing import TYPE_CHECKING, Any

from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, at_least_one, local, print_json

if TYPE_CHECKING:
    from dqh.detection.decoders import Settings

logger = logging.getLogger(__name__)


def add(verbs: Verbs) -> None:
    """`dqh detector MODEL.onnx --out DIR [--decoder NAME] [--classes FILE] [--sha256 HASH] [--threshold T] …`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.detection.class_names import read_class_names
        from dqh.detection.spec import require_decoder
        from dqh.detection.writing import save_detector

        require_decoder(arguments.decoder)
        saved = save_detector(
            arguments.model,
            arguments.out,
            decoder=arguments.decoder,
            classes=read_class_names(arguments.classes),
            size=arguments.size,
            settings=_settings(arguments),
            sha256=arguments.sha256,
        )
        told: dict[str, Any] = {"folder": str(arguments.out)} | saved.to_json()
        if arguments.json:
            print_json(told)
        else:
            say(
                f"{arguments.out}: {len(saved.spec.classes)} classes, {saved.spec.height} × {saved.spec.width} pixels, "
                f"decoder {saved.spec.decoder}",
                f"detector_id {saved.detector_id}",
            )
        if arguments.sha256 is None:
            logger.info("the model has the SHA-256 %s; with --sha256 no other is taken", saved.sha256)
        return 0

    own = add_verb(verbs, "detector", run, "make a folder that detects of a network that was exported to ONNX")
    own.add_argument("model", type=local, metavar="MODEL.onnx", help="the network")
    own.add_argument("--out", type=local, metavar="DIR", required=True, help="a new folder")
    own.add_argument("--decoder", default="yolox", metavar="NAME", help="what reads the output")
    own.when_told["decoder"] = _help_of_decoders
    own.add_argument(
        "--classes",
        default="coco",
        metavar="FILE",
        help="names of the classes, one a line in the order of the output (coco: its 80)",
    )
    own.add_argument("--sha256", metavar="HASH", help="of the model; another file is refused")
    own.add_argument("--size", type=_size, metavar="H,W", help="pixels of the input, where the model leaves them open")
    own.add_argument(
        "--threshold", type=float, metavar="T", help="score below which a box is none, 0 … 1 (.25 for yolox)"
    )
    own.add_argument(
        "--iou", type=float, metavar="T", help="overlap above which two boxes of a class are one object (.45 for yolox)"
    )
    own.add_argument("--most", type=at_least_one, metavar="K", help="objects of a photo at most (100)")
    own.add_argument("--colour", choices=("BGR", "RGB"), help="order of the channels in the input (BGR for yolox)")
    own.add_argument(
        "--largest", type=float, metavar="V", help="what 255 of a photo is in the input, 255 or 1 (255 for yolox)"
    )
    own.add_argument("--padding", type=int, metavar="V", help="of the input beside the photo, 0 … 255 (114 for yolox)")


def _settings(arguments: argparse.Namespace) -> "Settings":
    """The usual ones of the decoder, but for what is given."""
    from dqh.detection.decoders import DECODERS

    usual = DECODERS[arguments.decoder].usual
    given = {name: getattr(arguments, name) for name in usual._fields if getattr(arguments, name) is not None}
    return usual._replace(**given)


def _size(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"wanted height and width in pixels, as 416,416, got {text!r}")
    return int(parts[0]), int(parts[1])


def _help_of_decoders() -> str:
    from dqh.detection.decoders import DECODERS

    return f"what reads the output: {', '.join(DECODERS)} (yolox)"
