"""What an operator's monitoring reads at /metrics. Counts and times only: nothing that names a person or a card."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry an application."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.batches = Counter("tapgate_batches", "Uploads answered, by outcome", ["outcome"], registry=registry)
        self.events = Counter("tapgate_events", "Events taken into custody", registry=registry)
        self.notable = Counter(
            "tapgate_notable_events",
            "Events taken into custody that an operator may want to hear of: passages, readers, inputs, configurations",
            ["kind", "what"],
            registry=registry,
        )
        self.refusals = Counter(
            "tapgate_refusals", "Requests refused, by endpoint and kind", ["endpoint", "failure"], registry=registry
        )
        self.errors = Counter(
            "tapgate_errors", "Requests that failed by our own fault", ["endpoint"], registry=registry
        )
        self.events_behind = Gauge(
            "tapgate_events_behind", "Events in custody that are known not to be settled yet", registry=registry
        )
        self.not_settled = Counter(
            "tapgate_not_settled",
            "Events or members that could not be settled, or not in a service: see the log",
            ["what"],
            registry=registry,
        )
        self.upload_s = Histogram(
            "tapgate_upload_seconds",
            "From a batch received to its receipt",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=registry,
        )
        self.polls_held = Gauge("tapgate_polls_held", "Devices that wait for news now", registry=registry)
        self.manifests = Counter("tapgate_manifests", "Manifests issued", registry=registry)
        self.snapshot_bytes = Counter("tapgate_snapshot_bytes", "Bytes of snapshots sent", registry=registry)

    def value(self, name: str) -> int:
        """What a count without labels stands at, by its name."""
        return int(self._registry.get_sample_value(name) or 0)

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        return generate_latest(self._registry)
