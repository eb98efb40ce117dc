"""Everything that is counted, in one place; docs/metrics.md tells operators of it. Names follow Prometheus: seconds,
`_total`, few labels."""

from __future__ import annotations

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

# When a counter began says nothing here: what workers count begins with the table that it is kept in.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# Of each process of the API.
REQUESTS = Counter("http_requests_total", "HTTP requests answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram("http_request_duration_seconds", "Time to answer", ["route"], buckets=_FAST)
IN_FLIGHT = Gauge("http_requests_in_flight", "Other requests with a key that are being answered")
PREDICTIONS = Gauge("http_predictions_in_flight", "Requests to predict that have their turn")
PREDICTIONS_KEPT = Gauge("http_predictions_kept", "Requests to predict that wait for their turn, or to be refused")
EXPRESS = Counter("http_express_requests_total", "Requests to the express lane by what became of them", ["result"])
REFUSED_AGAIN = Counter("http_requests_refused_again_total", "Requests of blocked keys that nobody looked at")
WAITERS = Gauge("http_waiters", "Requests waiting for a job to end")
STREAMS = Gauge("http_event_streams", "Open event streams")
CACHE_BYTES = Gauge("infer_cache_bytes", "Taken by answers that are kept")
CACHE_EVICTIONS = Counter("infer_cache_evictions_total", "Answers that went to make room for others")

# Of each process that answers gRPC.
CALLS = Counter("grpc_requests_total", "gRPC calls answered", ["method", "status"])
CALL_SECONDS = Histogram("grpc_request_duration_seconds", "Time to answer", ["method"], buckets=_FAST)

# Of the API, of gRPC and of workers: `process` says of whom.
ACCEPTED = Counter("infer_jobs_accepted_total", "Jobs committed and answered with a ticket", ["model"])
CACHE = Counter(
    "infer_cache_inputs_total", "Inputs whose answers were looked for among those kept", ["model", "result"]
)
INLINE = Counter("infer_inline_total", "Inputs predicted inline", ["model", "version"])
INFERENCE_SECONDS = Histogram("infer_inference_seconds", "Time in the model", ["model"], buckets=_FAST)
MODEL_OPEN_SECONDS = Histogram(
    "infer_model_open_seconds", "Time to fetch, open and warm up a model that was not open", ["model"], buckets=_FAST
)
MODELS_CLOSED = Counter("infer_models_closed_total", "Models closed to make room for others", ["model"])
REDIS_FAILURES = Counter("redis_failures_total", "Calls that Redis did not answer; each was done without")
HINTS = Counter("infer_hints_sent_total", "Wake-ups by outcome", ["result"])
SHADOWS = Counter(
    "infer_shadow_copies_total", "What shadows were to be asked, by what became of it", ["model", "result"]
)
HELD_BACK = Counter("access_held_back_total", "Steps up by callers who are held back", ["level", "reason"])
CANARIES = Counter("routes_canaries_judged_total", "Canaries that ended by what was seen of them", ["model", "result"])

# Of workers.
ATTEMPTS = Counter(
    "infer_attempts_total", "Attempts by how they ended, which for one that failed is the error's code",
    ["model", "result"],
)  # fmt: skip
LOST = Counter("infer_jobs_lost_total", "Jobs taken back from a dead worker", ["found_by"])
for way in ("lease", "parent", "restart"):
    LOST.labels(way)  # from zero on: the first loss is an increase
FENCED = Counter("infer_jobs_fenced_writes_total", "Finished work thrown away because somebody else owned the job")
WEBHOOKS = Counter("webhook_deliveries_total", "Calls to receivers by outcome", ["result"])
WEBHOOK_SECONDS = Histogram("webhook_delivery_seconds", "Time of one call", buckets=_FAST)
UNSHOWN = Counter("infer_jobs_unshown_total", "Jobs that Flower was not told of, there being too many at a time")
CHORES = Counter("upkeep_chores_total", "Pieces of housekeeping by how they ended", ["chore", "result"])

OF_ALL = (
    ACCEPTED, CACHE, INLINE, INFERENCE_SECONDS, MODEL_OPEN_SECONDS, MODELS_CLOSED, REDIS_FAILURES, HINTS, HELD_BACK,
    SHADOWS, CANARIES,
)  # fmt: skip
#: Counted by the API, and by the express lane beside it.
OF_HTTP = (REQUESTS, REQUEST_SECONDS)
OF_EXPRESS = (EXPRESS,)
OF_GRPC = (CALLS, CALL_SECONDS)
OF_WORKERS = (ATTEMPTS, LOST, FENCED, WEBHOOKS, WEBHOOK_SECONDS, UNSHOWN, CHORES)
