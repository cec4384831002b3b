"""Several indexes that are parts of one, searched as that one: what a router answers by its shards.

The answers are those of one index that holds all rows, where engines are exact: a search takes from all shards the rows
that are nearest by code, keeps of these as many as one index would, equal distances cut by id, and has them ordered by
features where they lie. A shard that does not answer is named in the answer, which is marked as partial.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain, pairwise
from typing import Any, TypeVar

import msgspec

import dqh
from dqh.service import fields, shard_fields
from dqh.service.refusals import RequestError
from dqh.service.shard import MOVED
from dqh.service.shard_client import Answer, ShardClient, ShardClients, ShardDownError
from dqh.service.shard_fields import ShardState
from dqh.service.shard_pool import Pool, checked, pool_of, twice
from dqh.service.watch import Watch

ATTEMPTS = 4
"""At one search, while shards change or go."""

_OWNERS = 2**16
"""Items whose shards are remembered."""

_ABILITIES = ("upload", "detect", "originals")
"""What a router can do where all of its shards can."""

T = TypeVar("T")


class _ChangedError(Exception):
    """A shard has gone, or has another version, since it told its candidates."""


class Router:
    """Answers questions by shards.

    Args:
        shards: all of them.
    """

    def __init__(self, shards: ShardClients) -> None:
        self._shards = shards
        self._owners: OrderedDict[int, int] = OrderedDict()
        self._turn, self._lock = 0, threading.Lock()

    def close(self) -> None:
        """Ask no more."""
        self._shards.close()

    def search(self, asked: fields.SearchAsked, content: bytes | None) -> shard_fields.RoutedFound:
        """What looks like an image, a part of it, or an item of any shard.

        Raises:
            RequestError: a shard refuses what is asked (below 500), or none answers (503).
        """
        if (asked.id is None) == (content is None):
            raise RequestError(400, "send an image as the body of a POST, or name an item by id in a GET")
        watch = Watch()
        query = self._query(asked, content)
        watch.add({name: own for name, own in query.seconds.items() if name != "total"})
        watch.stage("query")
        for _ in range(ATTEMPTS):
            pool = self._pool(query, asked)
            watch.stage("coarse")
            try:
                hits = self._nearest(query, asked, pool)
            except _ChangedError:
                continue
            watch.stage("fine")
            return self._found(query, asked, pool, hits, watch)
        raise RequestError(503, "shards come and go faster than they can be asked; ask again", retry_after="1")

    def items(self, asked: fields.ItemsAsked) -> shard_fields.RoutedItems:
        """Rows of all shards by rising id, the first or some of each; errors as of `search`."""
        parameters = msgspec.structs.asdict(asked)

        def ask(shard: ShardClient) -> fields.Items:
            return _decoded(shard.ask("GET", "/v1/items", asked=parameters), fields.Items)

        answers, failures = self._all(ask)
        items = sorted(chain.from_iterable(own.items for own in answers.values()), key=lambda item: item.id)
        for number, own in answers.items():
            self._own(number, (item.id for item in own.items))
        if any(one.id == other.id for one, other in pairwise(items)):
            raise twice()
        has_more = len(items) > asked.most or any(own.next is not None for own in answers.values())
        if asked.spread is not None and len(items) > asked.most:
            items, has_more = [items[place * len(items) // asked.most] for place in range(asked.most)], False
        states = self._states({number: own.version for number, own in answers.items()}, failures)
        return shard_fields.RoutedItems(
            partial=bool(failures),
            shards=states,
            version=sum(own.version for own in answers.values()),
            items=items[: asked.most],
            next=items[: asked.most][-1].id if items and has_more else None,
        )

    def known(self) -> shard_fields.RoutedIndex:
        """What is served; errors as of `search`."""
        answers, failures = self._all(lambda shard: _decoded(shard.ask("GET", "/v1/index"), fields.IndexKnown))
        first, every = next(iter(answers.values())), list(answers.values())
        common = [name for name in _ABILITIES if all(name in own.can for own in every)]
        objects = ["objects"] if any("objects" in own.can for own in every) else []
        labels, tags = [own.labels for own in every], [own.tags for own in every]
        return shard_fields.RoutedIndex(
            partial=bool(failures),
            shards=self._states({number: own.version for number, own in answers.items()}, failures),
            version=sum(own.version for own in every),
            rows=sum(own.rows for own in every),
            images=sum(own.images for own in every),
            objects=sum(own.objects for own in every),
            labels=_summed(labels, fields.MOST_LABELS),
            tags=_summed(tags, fields.MOST_TAGS),
            at_least=[
                name
                for name, counts, most in (("labels", labels, fields.MOST_LABELS), ("tags", tags, fields.MOST_TAGS))
                if _is_cut(counts, most)
            ],
            encoder_id=first.encoder_id,
            detector_id=first.detector_id,
            detector_classes=first.detector_classes,
            bits=first.bits,
            code_kind=first.code_kind,
            distance=first.distance,
            engine=first.engine,
            rank=first.rank,
            can=common + objects,
            limits=fields.Limits(
                **{name: min(getattr(own.limits, name) for own in every) for name in first.limits.__struct_fields__}
            ),
            dqh=dqh.__version__,
        )

    def require_any(self) -> None:
        """Raise `RequestError` (503) where no shard is ready."""
        self._all(lambda shard: shard.ask("GET", "/ready"))

    def of_item(self, number: int, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """What the shard that has an item answers to GET `path`.

        Raises:
            RequestError: no shard has it (404), or one that may have it does not answer (503).
        """
        with self._lock:
            owner = self._owners.get(number)
        ask = partial(_got, path=path, headers=headers)
        if owner is not None:
            answers, failures = self._shards.each(ask, [self._shards.all[owner]])
            if answers:
                return answers[owner]
            if isinstance(failures[owner], ShardDownError):
                raise self._shards.none_answers(failures)
        return self._only(ask, number)

    def of_image(self, path: str, content: bytes) -> Answer:
        """What any shard answers to POST `path` with an image; RequestError where it refuses that, or none answers."""
        return self._any(lambda shard: shard.ask("POST", path, body=content))

    def _only(self, ask: Callable[[ShardClient], T], number: int) -> T:
        """What the one shard answers that has an item; all are asked."""
        answers, failures = self._shards.each(ask)
        if len(answers) > 1:
            raise twice()
        for owner, answer in answers.items():
            self._own(owner, [number])
            return answer
        refused = {key: error for key, error in failures.items() if isinstance(error, RequestError)}
        others = [error for error in refused.values() if error.status != 404]
        if others:
            raise others[0]
        if len(refused) < len(failures):
            raise self._shards.none_answers({key: own for key, own in failures.items() if key not in refused})
        owners, _ = self._shards.each(partial(_got, path=f"/v1/items/{number}"))
        for owner in owners:  # it has the item, and cannot give what was asked, as where a file is gone
            raise refused[owner]
        raise RequestError(404, f"no item {number} in any of the {len(self._shards)} shards")

    def _query(self, asked: fields.SearchAsked, content: bytes | None) -> shard_fields.Query:
        """The query: from the shard that has the item, or from any that answers."""
        named = {"id": asked.id, "box": asked.box, "dot": asked.dot, "k": asked.k, "rank": asked.rank}

        def ask(shard: ShardClient) -> shard_fields.Query:
            method = "GET" if content is None else "POST"
            return _decoded(shard.ask(method, "/v1/shard/query", asked=named, body=content), shard_fields.Query)

        if asked.id is not None:
            with self._lock:
                owner = self._owners.get(asked.id)
            answers, _ = self._shards.each(ask, [] if owner is None else [self._shards.all[owner]])
            return answers[owner] if owner in answers else self._only(ask, asked.id)
        return self._any(ask)

    def _any(self, ask: Callable[[ShardClient], T]) -> T:
        """What one shard answers, whichever does, in turns."""
        with self._lock:
            self._turn += 1
            first = self._turn % len(self._shards)
        failures: dict[int, Exception] = {}
        for shard in (*self._shards.all[first:], *self._shards.all[:first]):
            try:
                return ask(shard)
            except ShardDownError as error:
                failures[shard.number] = error
        raise self._shards.none_answers(failures)

    def _pool(self, query: shard_fields.Query, asked: fields.SearchAsked) -> Pool:
        """As many candidates as one index would have; of objects so many that they are of k images, if there are."""
        pool = self._candidates(query, asked, query.pool)
        while asked.among == "objects" and not pool.has_images(asked.k):
            pool = self._candidates(query, asked, 2 * pool.size)
        return pool

    def _candidates(self, query: shard_fields.Query, asked: fields.SearchAsked, size: int) -> Pool:
        body = msgspec.json.encode(
            shard_fields.CandidatesAsked(
                encoder_id=query.encoder_id,
                embedding=query.embedding,
                features=query.features,
                pool=min(size, shard_fields.MOST_CANDIDATES),
                where=asked.where,
                among=asked.among,
            )
        )

        def ask(shard: ShardClient) -> shard_fields.Candidates:
            told = _decoded(shard.ask("POST", "/v1/shard/candidates", body=body), shard_fields.Candidates)
            return checked(told)

        answers, failures = self._all(ask)
        if asked.among == "objects" and not failures and not any(own.has_objects for own in answers.values()):
            raise RequestError(409, "the index has no objects; leave among off, or ask among images")
        return pool_of(answers, failures, size=size)

    def _nearest(self, query: shard_fields.Query, asked: fields.SearchAsked, pool: Pool) -> list[fields.Hit]:
        """The answers among the candidates; `_ChangedError` where a shard no longer is as it was."""

        def ask(shard: ShardClient) -> list[fields.Hit]:
            body = shard_fields.NearestAsked(
                version=pool.told[shard.number].version,
                encoder_id=query.encoder_id,
                embedding=query.embedding,
                features=query.features,
                ids=pool.ids[shard.number].tobytes(),
                code_distances=pool.distances[shard.number].tobytes(),
                k=asked.k,
                rank=query.rank,
                among=asked.among,
                sizes=asked.sizes,
            )
            answer = shard.ask("POST", "/v1/shard/nearest", body=msgspec.json.encode(body))
            return _decoded(answer, shard_fields.Nearest).hits

        answers, failures = self._shards.each(
            ask, [self._shards.all[number] for number in pool.ids if len(pool.ids[number])]
        )
        for error in failures.values():
            if isinstance(error, ShardDownError) or getattr(error, "status", 0) == MOVED:
                raise _ChangedError from error
            raise error
        for number, own in answers.items():
            self._own(number, (hit.id for hit in own))
        return sorted(chain.from_iterable(answers.values()), key=lambda hit: (hit.distance, hit.id))[: asked.k]

    def _found(
        self,
        query: shard_fields.Query,
        asked: fields.SearchAsked,
        pool: Pool,
        hits: list[fields.Hit],
        watch: Watch,
    ) -> shard_fields.RoutedFound:
        told = pool.told.values()
        return shard_fields.RoutedFound(
            partial=bool(pool.failures),
            shards=self._states({number: own.version for number, own in pool.told.items()}, pool.failures),
            version=sum(own.version for own in told),
            size=query.size,
            box=query.box,
            hits=hits,
            rank=query.rank,
            rule=pool.rule(query.pool),
            engine=", ".join(sorted({own.engine for own in told})),
            candidates=sum(map(len, pool.ids.values())),
            note="" if hits else "no row fits the filter" if asked.where is not None else "nothing was found",
            seconds=watch.total(),
        )

    def _all(self, ask: Callable[[ShardClient], T]) -> tuple[dict[int, T], dict[int, Exception]]:
        """What the shards answer, at least one, and why others do not; what one refuses, all would."""
        answers, failures = self._shards.each(ask)
        for error in failures.values():
            if isinstance(error, RequestError) and error.status != 409:
                raise error
        if not answers:
            raise self._shards.none_answers(failures)
        return answers, failures

    def _states(self, versions: Mapping[int, int], failures: Mapping[int, Exception]) -> list[ShardState]:
        return [
            ShardState(shard=one.number, address=one.address, state="answered", version=versions[one.number])
            if one.number in versions
            else ShardState(shard=one.number, address=one.address, state="down", reason=str(failures[one.number]))
            for one in self._shards.all
        ]

    def _own(self, shard: int, items: Any) -> None:
        """Remember which shard some items are of."""
        with self._lock:
            for number in items:
                self._owners[number] = shard
                self._owners.move_to_end(number)
            while len(self._owners) > _OWNERS:
                self._owners.popitem(last=False)


def _got(shard: ShardClient, *, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    return shard.ask("GET", path, headers=headers)


def _decoded(answer: Answer, kind: type[T]) -> T:
    """An answer of a shard as a type; `ShardDownError` where it is none."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ShardDownError(f"it is no shard of this version of dqh: {error}") from error


def _summed(counts: list[dict[str, int]], most: int) -> dict[str, int]:
    """Counts of all shards, the most frequent first."""
    total: dict[str, int] = {}
    for name, count in chain.from_iterable(own.items() for own in counts):
        total[name] = total.get(name, 0) + count
    return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:most])


def _is_cut(counts: list[dict[str, int]], most: int) -> bool:
    """Whether a shard may have further names, which it did not tell, and others did."""
    return len(counts) > 1 and any(len(own) >= most for own in counts)
