"""The study of crops: which part of a photo is searched best for the object in it, and in which form of its features.

Regions × networks × taps × raw or binarised × L1, L2 or Hamming, and the codes of an artifact that was trained on such
features; an answer is right that has the class of the object searched for. Nothing is trained here. Regions are in
`crops`, table and picture in `crop_result`.

N objects, F feature dimensions.
"""

import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dqh.data import Source, Split, Store
from dqh.data.box_source import BoxSource
from dqh.data.preparation import check_leaks
from dqh.data.skipped import report_skipped
from dqh.discovery.crop_result import CropResult
from dqh.discovery.crops import TIGHT, WHOLE, Crops, Region
from dqh.encoding.loaded_encoder import LoadedEncoder, load_encoder
from dqh.errors import ConfigError
from dqh.evaluation.conventions import convention
from dqh.evaluation.measure import Row, Tally
from dqh.evaluation.study.feature_study import STUDY_BATCH_SIZE, FeatureStudy
from dqh.evaluation.study.forms import TapSide, form_rows, random_order
from dqh.evaluation.study.networks import Network, extract
from dqh.files import atomic_writer, write_json
from dqh.index.ways import ways_of
from dqh.ranking.relevance import any_relevant
from dqh.ranking.side import Side

logger = logging.getLogger(__name__)

LEARNED = "learned"
"""The form of codes of an artifact."""


class CropStudy:
    """What is compared in a study of crops. Weight files are read here once, to check that they fit.

    Args:
        networks: as for `FeatureStudy`: a backbone, `timm/MODEL` or `colour_histogram`, and its weights.
        taps: the taps of a network, by its name; a network that is not named has all of its taps.
        margins: context on each side of a box, shares of its width and height, each a region beside the box itself and
            the whole photo.
        square: whether each of these regions and the box are also brought to squares.
        codes: folder of an artifact for vectors (`data=features`), whose codes are a further form wherever features
            are as long as it wants them; None for none.
        keep_features: write the features of both roles in every region, and labels, as `.npy` files beside the result,
            from which such an artifact is trained.
        size: as for `FeatureStudy`.
        resize: likewise.
        download: likewise.
        seed: of random weights.
        precision_cutoffs: cutoffs of P@K, the last of which the picture shows.
        timed_queries: as for `FeatureStudy`.

    Raises:
        ConfigError: an unknown name, a number out of range, weights that are missing or do not fit, or an artifact that
            encodes no vectors; all problems are reported together.
        ArtifactError: there is no artifact for `codes`, or it is damaged.
    """

    def __init__(
        self,
        *,
        networks: Mapping[str, str | None],
        taps: Mapping[str, tuple[str, ...]] | None = None,
        margins: tuple[float, ...] = (0.15,),
        square: bool = True,
        codes: str | None = None,
        keep_features: bool = False,
        size: int | None = None,
        resize: int | None = None,
        download: bool = False,
        seed: int = 0,
        precision_cutoffs: tuple[int, ...] = (5, 10),
        timed_queries: int = 0,
    ) -> None:
        problems = [
            f"margins must be numbers of at least 0, shares of the box's sides, got {margin!r}"
            for margin in margins
            if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < math.inf
        ]
        if "identity" in networks:
            problems.append("networks: identity takes vectors, and crops are images; leave it out")
        features: FeatureStudy | None = None
        try:
            features = FeatureStudy(
                networks=networks,
                taps=taps,
                size=size,
                resize=resize,
                download=download,
                seed=seed,
                precision_cutoffs=precision_cutoffs,
                timed_queries=timed_queries,
            )
        except ConfigError as error:
            problems += error.problems
        self.encoder: LoadedEncoder | None = None
        if codes is not None:
            self.encoder = load_encoder(codes)
            if self.encoder.interface.spec.kind != "vector":
                problems.append(f"codes: {codes} encodes images; give an artifact that was trained by data=features")
        if problems or features is None:
            raise ConfigError(problems)
        self.features, self.keep_features = features, keep_features
        self.regions = regions_of(margins, square=square)

    def require_source(self, source: Source) -> None:
        """Raise `ConfigError` unless the source has boxes."""
        if not isinstance(source, BoxSource):
            raise ConfigError(f"data: {source.name} has no boxes; a study of crops wants annotated photos")


def regions_of(margins: Sequence[float], *, square: bool) -> tuple[Region, ...]:
    """The whole photo, the box, the box with each margin, and of all but the first the squares around them.

    Example:
        >>> [region.name for region in regions_of([0.15], square=True)]
        ['whole photo', 'box', 'box + 15 %', 'square', 'square + 15 %']
    """
    boxes = [TIGHT, *(Region(f"box + {100 * margin:g} %", margin) for margin in dict.fromkeys(margins) if margin)]
    squares = [Region(box.name.replace("box", "square"), box.margin, square=True) for box in boxes]
    return (WHOLE, *boxes, *(squares if square else ()))


class _Objects(NamedTuple):
    """The rows of `Crops` that were seen in a region, and by tap their features, (N, F) float32."""

    rows: NDArray[np.int64]
    features: dict[str, NDArray[np.float32]]


def study_crops(
    study: CropStudy,
    source: Source,
    split: Split,
    *,
    device: torch.device,
    skipped_file: Path,
    allow_duplicates: bool = False,
    batch_size: int = STUDY_BATCH_SIZE,
) -> Iterator[CropResult]:
    """Compute the features of one network after another in every region, and measure every form of every tap.

    Queries are the objects of the photos that the split calls queries, the database is those of its database. Both
    sides are in one region; and once the query is a whole photo, and the database is boxes, which is what somebody
    gets who cannot point at an object.

    Args:
        study: what is compared.
        source: photos with boxes.
        split: of the photos; its queries and its database.
        device: to compute on; L1 distances and the timed searches run on the CPU.
        skipped_file: where unusable photos are listed, should there be any; kept features lie beside it.
        allow_duplicates: whether the content of a query photo may be found again in the database.
        batch_size: crops that enter a network at a time.

    Yields:
        After each network, what is known so far.

    Raises:
        ConfigError: the source has no boxes, or no object of the database has the class of any query.
        DataError: leaks, too many unusable photos, or features that are not finite.
    """
    study.require_source(source)
    assert isinstance(source, BoxSource)
    roles, crops = split.rows(source), Crops(photos=source)
    leaks = check_leaks(source, roles, allow_duplicates=allow_duplicates)
    query, database = crops.rows_of(roles.query), crops.rows_of(roles.database)
    if not any_relevant(crops.labels[query], crops.labels[database]):
        raise ConfigError(
            f"none of the {len(database)} database objects is of the class of any of the {len(query)} queries, so that "
            "there is nothing to measure; choose another split"
        )
    rows: list[Row] = []
    for name in study.features.networks:
        network = study.features.start(name, source)
        seen: dict[str, tuple[_Objects, _Objects]] = {}
        for region in study.regions:
            shown = source if region.margin is None else Crops(photos=source, region=region)
            store = Store(shown, network.spec)
            sides = [
                _seen(network, store, crops, objects, region, device=device, batch_size=batch_size)
                for objects in (query, database)
            ]
            seen[region.name] = sides[0], sides[1]
            report_skipped(shown, store.skipped, total=len(shown), file=skipped_file)
        if study.keep_features:
            _keep(seen, crops, network, skipped_file.parent)
        rows += _measured(study, network, crops, seen, device=device)
        used = seen[TIGHT.name]
        protocol = _protocol(study, split, *(crops.labels[side.rows] for side in used))
        protocol |= {"duplicates": leaks.by_content, "query_photos": len(roles.query)}
        yield CropResult(protocol | {"database_photos": len(roles.database)}, tuple(rows))


def _seen(
    network: Network,
    store: Store,
    crops: Crops,
    objects: NDArray[np.int64],
    region: Region,
    *,
    device: torch.device,
    batch_size: int,
) -> _Objects:
    """The features of objects in a region; a whole photo is seen once for all objects in it."""
    logger.info("%s sees %d objects: %s", network.name, len(objects), region.name)
    if region.margin is not None:
        extracted = extract(network, store, objects, device=device, batch_size=batch_size)
        return _Objects(extracted.rows, extracted.features)
    photo_of = crops.photo_rows[objects]
    extracted = extract(network, store, np.unique(photo_of), device=device, batch_size=batch_size)
    usable = np.isin(photo_of, extracted.rows)
    place = np.searchsorted(extracted.rows, photo_of[usable])  # rows of a source come back in order
    return _Objects(objects[usable], {tap: values[place] for tap, values in extracted.features.items()})


def _keep(seen: Mapping[str, tuple[_Objects, _Objects]], crops: Crops, network: Network, folder: Path) -> None:
    """Write features and labels of both roles in every region, and a note of what they are."""
    files: dict[str, dict[str, Any]] = {}
    for region, sides in seen.items():
        for role, objects in zip(("query", "database"), sides, strict=True):
            of_role = re.sub(r"[^A-Za-z0-9.]+", "_", f"{network.name}_{region}_{role}")
            labels = f"{of_role}_labels.npy"
            _save(folder / labels, crops.labels[objects.rows])
            for tap, values in objects.features.items():
                name = f"{of_role}_{tap}.npy"
                _save(folder / name, values)
                about = {"region": region, "role": role, "tap": tap, "labels": labels}
                files[name] = about | {"ids": crops.ids[objects.rows].tolist()}
    note = {"network": network.name, "weights": network.origin, "classes": list(crops.class_names), "files": files}
    write_json(folder / re.sub(r"[^\w.]+", "_", f"{network.name}_features.json"), note)


def _save(path: Path, values: NDArray[Any]) -> None:
    with atomic_writer(path) as file:
        np.save(file, values)


def _measured(
    study: CropStudy,
    network: Network,
    crops: Crops,
    seen: Mapping[str, tuple[_Objects, _Objects]],
    *,
    device: torch.device,
) -> list[Row]:
    """The rows of a network: by tap, region of the query and of the database, form and distance."""
    pairs = [(WHOLE.name, TIGHT.name), *((region.name, region.name) for region in study.regions)]
    rows: list[Row] = []
    for tap in network.taps:
        for of_query, of_database in pairs:
            query, database = (
                TapSide(side.features[tap], crops.labels[side.rows])
                for side in (seen[of_query][0], seen[of_database][1])
            )
            about: Row = {
                "network": network.name,
                "weights": network.origin,
                "size": network.spec.size,
                "tap": tap,
                "query": of_query,
                "database": of_database,
            }
            features = study.features
            forms = form_rows(
                query,
                database,
                tally=features.tally,
                answers=max(features.precision_cutoffs),
                timed=features.timed_queries,
                device=device,
            )
            encoder = study.encoder
            if encoder is not None and encoder.interface.spec.size == query.features.shape[1]:
                forms.append(code_row(encoder, query, database, tally=features.tally, device=device))
            rows += [about | row for row in forms]
    return rows


def code_row(
    encoder: LoadedEncoder,
    query: TapSide,
    database: TapSide,
    *,
    tally: Callable[[int], Tally],
    device: torch.device | str = "cpu",
) -> Row:
    """The row of the codes of an artifact for vectors as long as these features, searched by its own distance."""
    sides = []
    for side in (query, database):
        encoded = encoder.encode(side.features)
        sides.append(Side(encoded.codes, encoded.embedding, side.features, side.labels))
    quantizer = encoder.interface.quantizer
    way = next(way for way in ways_of(quantizer) if way.leads(quantizer))
    kept = tally(len(database.labels))
    for buckets in way.order(sides[0], sides[1], quantizer, device=device).buckets():
        kept.add(buckets)
    distance = "Hamming" if way.distance == "hamming" else way.distance
    row: Row = {"dimension": query.features.shape[1], "form": LEARNED, "distance": distance}
    return row | kept.row() | {"bytes_per_item": way.item_bytes(sides[1])}


def _protocol(study: CropStudy, split: Split, query: NDArray[np.int64], database: NDArray[np.int64]) -> dict[str, Any]:
    """What was compared with what; `random_order` is what a ranking scores that knows nothing."""
    rules, tally = convention("default"), study.features.tally(len(database))
    for buckets in random_order(query, database):
        tally.add(buckets)
    return {
        "data": split.data,
        "split": split.protocol,
        "split_sha256": split.sha256,
        "seed": study.features.seed,
        "query": len(query),
        "database": len(database),
        "relevance": "the class of the object",
        "convention": "default",
        "ties": rules.ties,
        "medians": "of each dimension over the database",
        "random_order": tally.row(),
    }
