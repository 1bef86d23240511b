"""What the node counts and measures, for Prometheus. Every metric is described in docs/metrics.md.

Labels take values from fixed lists only (departments of the genesis, error codes, method names), so that nobody can
make the number of series grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LATENCY_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_SIZES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0)


@dataclass(frozen=True, slots=True)
class Readings:
    """Where the values come from that are read when Prometheus asks, each on the event loop."""

    gauges: Mapping[str, Callable[[], float]] = field(default_factory=dict)
    """By a name of `GAUGES`."""
    pending: Callable[[], Mapping[str, int]] = dict
    """Transactions taken in and not yet final, by department."""
    events: Callable[[], Mapping[str, int]] = dict
    """How often each event of the consensus trace happened."""


GAUGES: Mapping[str, str] = {
    "huzheng_height": "Height of the newest stored block.",
    "huzheng_network_height": "Highest height that more peers than may be faulty say they have.",
    "huzheng_block_time_seconds": "Time of the newest stored block, seconds since 1970.",
    "huzheng_epoch": "Current epoch: how many changes of the membership are in force.",
    "huzheng_view": "Current view.",
    "huzheng_primary": "Id of the current view's primary.",
    "huzheng_peers_connected": "Peers with a link that is up.",
    "huzheng_clock_offset_seconds": "How far the network's clocks are ahead of this machine's.",
    "huzheng_tls_expiry_seconds": "When this node's TLS certificate ends, seconds since 1970.",
    "huzheng_watchers": "Calls that watch blocks or records.",
    "huzheng_ready": "1 while /readyz answers 200.",
}
"""Names and texts of the gauges that `Readings.gauges` gives."""


class Metrics:
    """The metrics of one node. Counting belongs to the event loop."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.blocks = Counter("huzheng_blocks", "Blocks stored since the start.", registry=registry)
        self.block_transactions = Histogram(
            "huzheng_block_transactions", "Transactions in a stored block.", buckets=_SIZES, registry=registry
        )
        self.results = Counter(
            "huzheng_results", "Transactions in stored blocks, by result code.", ["code"], registry=registry
        )
        self.commit_seconds = Histogram(
            "huzheng_commit_seconds",
            "From a transaction's arrival at this node to its being final here.",
            buckets=_LATENCY_S,
            registry=registry,
        )
        self.taken_in = Counter(
            "huzheng_taken_in", "Transactions taken in, by department.", ["department"], registry=registry
        )
        self.refused = Counter(
            "huzheng_refused", "Transactions refused before ordering, by error code.", ["code"], registry=registry
        )
        self.forwarded_refused = Counter(
            "huzheng_forwarded_refused",
            "Transactions from peers that were dropped, by error code.",
            ["code"],
            registry=registry,
        )
        self.signature_checks = Counter(
            "huzheng_signature_checks",
            "Transaction signatures checked on arrival, by whether they held.",
            ["result"],
            registry=registry,
        )
        self.calls = Counter(
            "huzheng_calls", "Finished calls, by method and code.", ["method", "code"], registry=registry
        )
        self.call_seconds = Histogram(
            "huzheng_call_seconds",
            "How long calls took, by method; streams from their opening to their end.",
            ["method"],
            buckets=_LATENCY_S,
            registry=registry,
        )
        self.alerts = Gauge(
            "huzheng_alerts", "What the chain says should be looked at, by kind.", ["kind"], registry=registry
        )
        self.calls_in_hand = Gauge("huzheng_calls_in_hand", "Calls being served, streams included.", registry=registry)

    def read_from(self, readings: Readings) -> None:
        """Connects what is read on demand. Call it once, when all parts of the node are there."""
        self.registry.register(_OnDemand(readings))

    def exposition(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)


class _OnDemand(Collector):
    """The metrics whose values other parts of the node hold."""

    def __init__(self, readings: Readings) -> None:
        unknown = set(readings.gauges) - set(GAUGES)
        if unknown:
            raise ValueError(f"no such gauges: {', '.join(sorted(unknown))}")
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for name, read in self._readings.gauges.items():
            yield GaugeMetricFamily(name, GAUGES[name], value=read())
        pending = GaugeMetricFamily(
            "huzheng_pending", "Transactions taken in and not yet final, by department.", labels=["department"]
        )
        yield _filled(pending, self._readings.pending().items())
        events = CounterMetricFamily(
            "huzheng_consensus_events", "Events of the consensus trace, by kind.", labels=["event"]
        )
        yield _filled(events, self._readings.events().items())


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, values: Iterable[tuple[str, int]]
) -> GaugeMetricFamily | CounterMetricFamily:
    for label, value in values:
        family.add_metric([label], value)
    return family
