"""`dqh cluster`: the images of an index, or the rows of a file, in clusters."""

import argparse
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dqh.commands import command
from dqh.plural import counted
from dqh.terminal import say
from dqh.verbs.engines import add_executor, executor_of_options
from dqh.verbs.verb import Parser, Verbs, add_verb, at_least_one, fraction, local, print_json, usage_error, whole

if TYPE_CHECKING:
    from dqh.clustering.cluster_input import ClusterInput
    from dqh.clustering.cluster_methods import ClusterSettings
    from dqh.executors import Executor
    from dqh.scale.spread_points import SpreadPoints

logger = logging.getLogger(__name__)

METHODS = ("iqmeans", "kmeans", "binary_kmeans", "pqkmeans")
_ITERATIONS = {"iqmeans": 20, "kmeans": 20, "binary_kmeans": 10, "pqkmeans": 10}

_OF_METHODS = {
    "most": ("iqmeans",),
    "overlap": ("iqmeans",),
    "codewords": ("iqmeans", "pqkmeans"),
    "subspaces": ("pqkmeans",),
    "bits": ("binary_kmeans",),
}
"""Which methods an option belongs to."""

_OF_FILES = ("column", "labels", "images", "quantizer")


def add(verbs: Verbs) -> None:
    """`dqh cluster INDEX|FILE -k N|auto [--method METHOD] --out DIR`."""

    def run(arguments: argparse.Namespace) -> int:
        from dqh.artifact.manifest import CLUSTERS_MANIFEST
        from dqh.clustering.cluster_job import cluster_points

        _require_options(own, arguments)
        try:
            given = _input(own, arguments)
            settings = _settings(arguments, given)
            with (
                executor_of_options(own, arguments) as executor,
                nullcontext() if executor is None else _spread(executor, arguments) as spread,
            ):
                result = cluster_points(
                    given,
                    settings,
                    arguments.out,
                    memory=arguments.memory,
                    max_bad_fraction=arguments.max_bad_fraction,
                    spread=spread,
                )
                if spread is not None:
                    spread.end()
        except KeyboardInterrupt:
            if (arguments.out / CLUSTERS_MANIFEST).is_file():
                logger.warning("what is finished is kept in %s; the same command goes on from there", arguments.out)
            raise
        except ValueError as error:
            usage_error(own, error)
        if arguments.json:
            print_json({"folder": str(arguments.out)} | result)
        else:
            say(*_lines(arguments.out, given.noun, result))
        logger.info("check with: %s", command("dqh", "verify", arguments.out))
        return 0

    own = add_verb(verbs, "cluster", run, "put the images of an index, or the rows of a file, into clusters")
    own.add_argument(
        "source",
        type=local,
        metavar="INDEX|FILE",
        help="folder of an index, or a file of vectors or codes: .npy, .fvecs, .bvecs, .parquet",
    )
    own.add_argument("-k", type=_clusters, required=True, metavar="N|auto", help="clusters, or auto (iqmeans)")
    own.add_argument("--method", choices=METHODS, default="iqmeans", help="iqmeans where nobody says")
    own.add_argument(
        "--out",
        type=local,
        required=True,
        metavar="DIR",
        help="a new folder; the same command goes on with its own",
    )
    own.add_argument(
        "--memory", type=_bytes, metavar="SIZE", help="that may be taken, as 4G or 800M; else what is free"
    )
    own.add_argument("--seed", type=whole, default=0, metavar="N", help="of all that is random (0)")
    own.add_argument(
        "--iterations", type=at_least_one, metavar="N", help="at most (20; 10 of binary_kmeans and pqkmeans)"
    )
    own.add_argument(
        "--max-bad-fraction",
        type=fraction,
        default=0.01,
        metavar="F",
        help="of vectors that are not finite; above it the exit status is 3 (0.01)",
    )
    _add_points(own)
    _add_methods(own)
    add_executor(own, workers=True)
    own.add_argument(
        "--parts",
        type=local,
        metavar="DIR",
        help="folder for what partitions make, which all workers see (OUT.parts)",
    )


def _spread(executor: "Executor", arguments: argparse.Namespace) -> "SpreadPoints":
    from dqh.scale.spread_points import SpreadPoints

    folder = arguments.parts or arguments.out.with_name(f"{arguments.out.name}.parts")
    return SpreadPoints(executor, folder=folder, of=arguments.out, partitions=arguments.partitions)


def _add_points(own: Parser) -> None:
    points = own.add_argument_group("which points")
    points.add_argument(
        "--points",
        choices=("vectors", "codes"),
        help="cluster vectors (features of an index) or codes; else codes where the method clusters such ones",
    )
    points.add_argument("--column", metavar="NAME", help="of a table that has several of vectors or codes")
    points.add_argument("--labels", type=local, metavar="FILE.npy", help="class of each row of a file, for purity")
    points.add_argument("--images", type=local, metavar="LIST", help="picture of each row of a file, a line a row")
    points.add_argument(
        "--quantizer",
        type=local,
        metavar="ARTIFACT|FILE.npy",
        help="what made the product-quantized codes of a file; or codebooks (M, K, D / M)",
    )


def _add_methods(own: Parser) -> None:
    methods = own.add_argument_group("of single methods")
    methods.add_argument("--most", type=at_least_one, metavar="N", help="clusters that auto starts with (points / 16)")
    methods.add_argument("--overlap", type=fraction, metavar="F", help="of auto: the larger, the fewer stay (0.8)")
    methods.add_argument(
        "--codewords",
        type=at_least_one,
        metavar="N",
        help="iqmeans: of a half of a vector (512, or fewer of few vectors; more for many clusters, up to 16384); "
        "pqkmeans: of a subspace (256)",
    )
    methods.add_argument("--subspaces", type=at_least_one, metavar="N", help="pqkmeans of vectors (8)")
    methods.add_argument(
        "--bits", type=at_least_one, metavar="N", help="binary_kmeans (8 a byte of codes; 64 of vectors)"
    )


def _require_options(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a message where an option does not belong to the method or to the source."""
    for option, methods in _OF_METHODS.items():
        if getattr(arguments, option) is not None and arguments.method not in methods:
            own.error(f"--{option} belongs to --method {' or '.join(methods)}, got {arguments.method}")
    for option in ("most", "overlap"):
        if getattr(arguments, option) is not None and arguments.k != "auto":
            own.error(f"--{option} belongs to -k auto, got -k {arguments.k}")


def _input(own: argparse.ArgumentParser, arguments: argparse.Namespace) -> "ClusterInput":
    """The points of the source."""
    from dqh.clustering.cluster_input import file_input
    from dqh.collection.index_points import index_input
    from dqh.data.point_files import EXTENSIONS

    source = arguments.source
    if not source.is_dir() and (source.exists() or source.suffix.lower() in EXTENSIONS):
        return file_input(
            arguments.source,
            kind=arguments.points,
            bits=arguments.bits,
            **{option: getattr(arguments, option) for option in _OF_FILES},
        )
    for option in _OF_FILES:
        if getattr(arguments, option) is not None:
            own.error(f"--{option} belongs to a file, {arguments.source} is none")
    return index_input(arguments.source)


def _settings(arguments: argparse.Namespace, given: "ClusterInput") -> "ClusterSettings":
    from dqh.clustering.cluster_job import points_of
    from dqh.clustering.cluster_methods import ClusterSettings

    points = arguments.points or points_of(given, arguments.method)
    of_vectors = points == "vectors"
    return ClusterSettings(
        method=arguments.method,
        clusters=arguments.k,
        points=points,
        most_clusters=arguments.most,
        overlap=arguments.overlap,
        codewords=arguments.codewords if of_vectors else None,
        subspaces=arguments.subspaces if of_vectors else None,
        bits=arguments.bits if of_vectors else None,
        iterations=arguments.iterations or _ITERATIONS[arguments.method],
        seed=arguments.seed,
    )


def _lines(out: Path, noun: str, result: dict[str, Any]) -> list[str]:
    """What came out, for people."""
    unit = f" {result['unit']}"
    lines = [
        f"{counted(result['clusters'], 'cluster')} of {counted(result['points'], noun)} in {out}",
        f"{result['smallest']:,} to {result['largest']:,} {noun}s each, median {result['median']:,.0f}",
        f"distortion {result['distortion']:.6g}{unit} after {counted(result['iterations'], 'iteration')}",
    ]
    if result["empty"]:
        lines[1] += f"; {counted(result['empty'], 'cluster is', 'clusters are')} empty"
    if result["purity"] is not None:
        lines.append(f"purity {result['purity']:.4f} over {counted(result['labelled'], noun)} with labels")
    if result["skipped"]:
        lines.append(f"{counted(result['skipped'], noun)} left out: see {out / 'skipped.csv'}")
    return lines


def _clusters(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"wanted a whole number from 1, or auto, got {text!r}")
    return int(text)


def _bytes(text: str) -> int:
    from dqh.clustering.cluster_memory import bytes_of

    try:
        return bytes_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
