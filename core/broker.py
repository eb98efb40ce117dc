"""The Celery side that everyone may know: how to wake a pool of workers. A wake-up carries no work and may be lost."""

from __future__ import annotations

import contextvars
import time

import celery
import redis
from kombu.exceptions import OperationalError

from core import metrics
from core.settings import Settings

WAKE = "coatcheck.wake"
POOLS = ("cpu", "gpu")
#: A hint says "look"; a second one while the first is unread adds nothing. The flag dies by itself, with or without
#: a worker.
HINT_TTL_MS = 2000
#: After a failed publish, do not try again for this long: requests must not queue up behind a dead Redis.
PAUSE_S = 5.0
KEY_PREFIX = "coatcheck:"

LOST = (redis.RedisError, OperationalError, OSError)


def connect(url: str) -> redis.Redis:
    """A Redis client that never makes a request wait longer than half a second and does not retry."""
    return redis.Redis.from_url(
        url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None, health_check_interval=15
    )


def producer(url: str) -> celery.Celery:
    """A Celery app that can only send."""
    app = celery.Celery("coatcheck-producer", broker=url, set_as_current=False)
    app.conf.update(
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        broker_connection_retry=False,
        broker_connection_max_retries=0,
        broker_transport_options={
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry_on_timeout": False,
            "max_retries": 0,
            "global_keyprefix": KEY_PREFIX,
        },
    )
    return app


class Hints:
    """Best-effort wake-ups: at most one unread per pool, sent after COMMIT, failures counted and swallowed."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings.redis_url)
        self._app = producer(settings.redis_url)
        self._silent_until = 0.0

    def send(self, pool: str) -> bool:
        """Wake `pool` unless somebody just did; True when a message went out."""
        if time.monotonic() < self._silent_until:
            metrics.HINTS.labels("skipped").inc()
            return False
        try:
            return self._send(pool)
        except LOST:
            self._silent_until = time.monotonic() + PAUSE_S
            metrics.HINTS.labels("failed").inc()
            return False

    def _send(self, pool: str) -> bool:
        if not self._redis.set(_flag(pool), b"1", nx=True, px=HINT_TTL_MS):
            metrics.HINTS.labels("joined").inc()
            return False
        self.wake(pool)
        return True

    def wake(self, pool: str) -> None:
        """One message, no questions asked; raises what Redis raises."""
        # A publish that fails must not leave its trace context behind in the caller's.
        contextvars.copy_context().run(
            self._app.send_task, WAKE, args=[pool], queue=pool, retry=False, ignore_result=True, expires=60
        )
        metrics.HINTS.labels("sent").inc()

    def wake_another(self, pool: str) -> None:
        """One more worker for a pool that has more than a batch waiting; as best-effort as `send`."""
        try:
            self.wake(pool)
        except LOST:
            metrics.HINTS.labels("failed").inc()

    def clear(self, pool: str) -> None:
        """Call before claiming: whoever commits after this may hint again, so nothing falls between."""
        try:
            self._redis.delete(_flag(pool))
        except LOST:
            metrics.HINTS.labels("failed").inc()

    def ping(self) -> bool:
        try:
            return bool(self._redis.ping())
        except LOST:
            return False


def _flag(pool: str) -> str:
    return f"{KEY_PREFIX}hint:{pool}"
