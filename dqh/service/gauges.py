"""What the service counts and times, for Prometheus; a registry of its own, so that nothing is global."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
BATCHES = (1, 2, 4, 8, 16, 32)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Gauges:
    """Counters, histograms and gauges.

    Attributes:
        requests: by route, method and status.
        seconds: of requests, by route.
        stages: seconds of the stages of questions, by stage.
        batches: requests that a batch had, by what ran it.
        refused: requests that were turned away, by reason.
        active: requests that are being answered.
        related: answers with related items, by what ranked them.
        partial: answers of a router that some shard had no part in.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own = self._registry
        self.requests = Counter("dqh_requests", "Requests answered.", ("route", "method", "status"), registry=own)
        self.seconds = Histogram("dqh_request_seconds", "Of requests.", ("route",), buckets=SECONDS, registry=own)
        self.stages = Histogram("dqh_stage_seconds", "Of stages.", ("stage",), buckets=SECONDS, registry=own)
        self.batches = Histogram("dqh_batch_requests", "Of a batch.", ("of",), buckets=BATCHES, registry=own)
        self.refused = Counter("dqh_refused", "Requests turned away.", ("reason",), registry=own)
        self.related = Counter("dqh_related", "Answers with related items.", ("by",), registry=own)
        self.partial = Counter("dqh_partial", "Answers that some shard had no part in.", registry=own)
        self.active = Gauge("dqh_active_requests", "Requests that are being answered.", registry=own)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge whose value is asked for when the metrics are."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def content(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
