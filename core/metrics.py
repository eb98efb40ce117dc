"""Every metric, in one place. Names follow Prometheus: seconds, `_total`, few labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("http_requests_total", "HTTP requests answered", ["route", "method", "status"])
REQUEST_SECONDS = Histogram("http_request_duration_seconds", "Time to answer", ["route"], buckets=_FAST)
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests with a key that are being answered, but for waiters and streams")
WAITERS = Gauge("http_waiters", "Requests waiting for a job to end")
ACCEPTED = Counter("infer_jobs_accepted_total", "Jobs committed and answered with a ticket", ["model"])
INLINE = Counter("infer_inline_total", "Inputs predicted inline", ["model", "version"])
INFERENCE_SECONDS = Histogram("infer_inference_seconds", "Time in the model", ["model"], buckets=_FAST)
REDIS_FAILURES = Counter("redis_failures_total", "Calls that Redis did not answer; each was done without")
FENCED = Counter("infer_jobs_fenced_writes_total", "Finished work thrown away because somebody else owned the job")
LOST = Counter("infer_jobs_lost_total", "Jobs taken back from a dead worker", ["found_by"])
STREAMS = Gauge("http_event_streams", "Open event streams")
HINTS = Counter("infer_hints_sent_total", "Wake-ups by outcome", ["result"])
WEBHOOKS = Counter("webhook_deliveries_total", "Calls to receivers by outcome", ["result"])
WEBHOOK_SECONDS = Histogram("webhook_delivery_seconds", "Time of one call", buckets=_FAST)
WEBHOOKS_PENDING = Gauge("webhook_pending", "Deliveries that wait to be sent, first or again")
WEBHOOKS_OVERDUE = Gauge("webhook_oldest_pending_age_seconds", "For how long the first of them has been due")
ENDPOINTS_DISABLED = Gauge("webhook_endpoints_disabled", "Endpoints that the platform has switched off")
