"""Figures about it0 itself, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

MESSAGES = Counter("it0_messages_total", "Inbounds accepted", ["channel", "kind"], registry=REGISTRY)
REFUSED = Counter(
    "it0_requests_refused_total", "HTTP and socket requests refused", ["reason"], registry=REGISTRY
)
REQUESTS = Histogram(
    "it0_http_seconds",
    "Time to answer an HTTP request",
    ["route", "method", "status"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
QUEUE = Gauge("it0_queue_rows", "Rows in a queue by state", ["queue", "state"], registry=REGISTRY)
WORK = Gauge("it0_work_running", "Pieces of work under way in this process", registry=REGISTRY)
SOCKETS = Gauge("it0_sockets_open", "Console sockets open in this process", registry=REGISTRY)
LATE_TIMERS = Gauge("it0_timers_late", "Timers past their due time", registry=REGISTRY)
LOOP_LAG = Histogram(
    "it0_loop_lag_seconds",
    "How much later than asked for the event loop comes back to a sleeper, twice a second",
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
HEARTBEAT = Gauge("it0_heartbeat_timestamp_seconds", "When this process last beat", registry=REGISTRY)
