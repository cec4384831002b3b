"""`dqh serve`: an index over HTTP, for pages and programs."""

import argparse
import dataclasses
import gc
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dqh.errors import DqhError
from dqh.terminal import say
from dqh.verbs.verb import Verbs, add_verb, at_least_one, local, print_json, usage_error

if TYPE_CHECKING:
    from dqh.service.settings import Settings

PACKAGES = ("starlette", "uvicorn", "httptools", "msgspec", "prometheus_client", "urllib3")

_OF_AN_INDEX = (
    *("artifact", "clusters", "detector", "device", "filter", "no_detector", "originals", "related", "rules"),
    "runtime",
)
"""Options that a router hands nothing on of."""


def add(verbs: Verbs) -> None:
    """`dqh serve INDEX [--host …] [--port N] [--detector D] [--filter DIR] [--related DIR] …`."""

    def run(arguments: argparse.Namespace) -> int:
        if missing := [name for name in PACKAGES if find_spec(name) is None]:
            raise DqhError(f"a service needs the package {missing[0]}; install it: uv sync --inexact --extra serve")
        if arguments.detector is not None and arguments.no_detector:
            own.error("--detector names one, --no-detector wants none; leave one of them off")
        if (arguments.index is None) == (not arguments.shard):
            own.error("name an index, or the shards of one: --shard URL --shard URL …")
        if arguments.shard and (given := [name for name in _OF_AN_INDEX if getattr(arguments, name)]):
            own.error(f"--{given[0].replace('_', '-')} is of an index; name it where the shards are served")
        try:
            if arguments.shard:
                _route(arguments)
            else:
                _serve(arguments)
        except ValueError as error:
            usage_error(own, error)
        return 0

    own = add_verb(verbs, "serve", run, "answer searches of an index over HTTP, until a signal comes")
    own.add_argument(
        "index", nargs="?", type=local, metavar="INDEX", help="folder of the index; it may be written to meanwhile"
    )
    own.add_argument(
        "--shard",
        action="append",
        default=[],
        metavar="URL",
        help="in the place of INDEX: where a shard of one is served, see `dqh split`; name each",
    )
    own.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1); others need a token")
    own.add_argument("--port", type=_whole, default=8000, metavar="N", help="0 for one that is free (8000)")
    own.add_argument("--token-file", type=local, metavar="FILE", help="holds the token that requests must bring")
    own.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name that clients call it by; * for any"
    )
    own.add_argument("--detector", type=local, metavar="DETECTOR", help="else what the index remembers")
    own.add_argument("--no-detector", action="store_true", help="none, also where the index remembers one")
    own.add_argument("--filter", type=local, metavar="DIR", help="what `dqh look --fit` made, for words and dots")
    own.add_argument("--rules", type=local, metavar="FILE", help="of a lens, see `dqh lens --help`")
    own.add_argument("--related", type=local, metavar="DIR", help="what `dqh related --fit` made, for related items")
    own.add_argument(
        "--clusters", type=local, metavar="DIR", help="what `dqh cluster INDEX --out DIR` made, to look at"
    )
    own.add_argument("--artifact", type=local, metavar="DIR", help="of the encoder; else what the index remembers")
    own.add_argument("--engine", default="auto", metavar="NAME", help="that searches codes, see `dqh search --help`")
    own.add_argument("--device", metavar="NAME", help="cpu or cuda; else CUDA where there is one")
    own.add_argument(
        "--runtime",
        choices=("torch", "onnx"),
        help="that encodes images; else onnx where the artifact has encoder.onnx and no other device is named",
    )
    own.add_argument("--originals", action="store_true", help="serve the files of images as they are, EXIF and all")
    limits = own.add_argument_group("what a request may cost")
    limits.add_argument("--max-body", type=_megabytes, dest="body_bytes", metavar="MB", help="of an upload (20)")
    limits.add_argument("--body-seconds", type=_seconds, metavar="S", help="for a head, and for a body, to come (10)")
    limits.add_argument("--max-pixels", type=at_least_one, dest="pixels", metavar="N", help="of an image (40000000)")
    limits.add_argument("--image-seconds", type=_seconds, metavar="S", help="to decode an image (5)")
    limits.add_argument("--requests", type=at_least_one, metavar="N", help="answered at a time, more get 503 (64)")
    limits.add_argument("--uploads", type=at_least_one, metavar="N", help="of these, with an image (16)")
    limits.add_argument("--workers", type=at_least_one, metavar="N", help="images worked on at a time (2)")
    limits.add_argument("--thumbnails", type=_megabytes, dest="thumbnail_bytes", metavar="MB", help="kept (64)")


def _serve(arguments: argparse.Namespace) -> None:
    from dqh.service.journal import write_json_lines

    settings = _settings(arguments)
    write_json_lines()
    from dqh.service.app import make_app
    from dqh.service.gauges import Gauges
    from dqh.service.served import open_parts
    from dqh.service.server import Server
    from dqh.service.shared import shared_encoder

    gauges = Gauges()
    parts = open_parts(
        arguments.index,
        lambda load: shared_encoder(load, seen=gauges.batches.labels("encode").observe),
        searches=gauges.batches.labels("search").observe,
        artifact=arguments.artifact,
        detector=arguments.detector,
        without_detector=arguments.no_detector,
        fitted=arguments.filter,
        rules=arguments.rules,
        related=arguments.related,
        clusters=arguments.clusters,
        engine=arguments.engine,
        device=arguments.device,
        runtime=arguments.runtime,
    )
    gc.collect()
    gc.freeze()  # all that stays: going through it again and again delays one answer in a hundred by 30 ms
    Server(
        make_app(parts, settings, gauges),
        settings,
        lambda url: print_json({"url": url}) if arguments.json else say(url),
    ).run()


def _route(arguments: argparse.Namespace) -> None:
    from dqh.service.journal import write_json_lines

    settings = _settings(arguments)
    write_json_lines()
    from dqh.service.gauges import Gauges
    from dqh.service.router import Router
    from dqh.service.router_routes import make_router_app
    from dqh.service.server import Server
    from dqh.service.shard_client import ShardClients

    shards = ShardClients(arguments.shard, settings.token)
    shards.require_cut()
    guard = make_router_app(Router(shards), settings, Gauges())
    Server(guard, settings, lambda url: print_json({"url": url}) if arguments.json else say(url)).run()


def _settings(arguments: argparse.Namespace) -> "Settings":
    """What was said, and the defaults of what was not."""
    from dqh.service.settings import Settings, read_token

    names = {field.name for field in dataclasses.fields(Settings)}
    given = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    token = None if arguments.token_file is None else read_token(arguments.token_file)
    return Settings(**given | {"token": token, "hosts": tuple(arguments.allow_host)})


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"wanted a whole number, got {text!r}")
    return int(text)


def _megabytes(text: str) -> int:
    return at_least_one(text) * 2**20


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted seconds, got {text!r}") from None
