"""Redis and the Celery side that everyone may know: how to wake a pool of workers. A wake-up carries no work and may
be lost."""

from __future__ import annotations

import contextvars
import threading
import time
import weakref
from collections.abc import Callable
from typing import TypeVar

import celery
import redis
from kombu.exceptions import OperationalError

from core import metrics

WAKE = "coatcheck.wake"
DELIVER = "coatcheck.deliver"
#: The pool of what takes many questions: nobody's prediction waits behind one.
EXPLAIN = "explain"
POOLS = ("cpu", "gpu", EXPLAIN)
#: The pool whose workers call receivers instead of running jobs.
WEBHOOKS = "webhooks"
#: A hint says "look"; a second one while the first is unread adds nothing. The flag dies by itself, with or without
#: a worker.
HINT_TTL_MS = 2000
#: So long a call may take: somebody waits for its end, and can do without its answer.
WAIT_S = 0.5
#: After a failed call Redis is asked again so often, by nobody who is waited for.
PAUSE_S = 1.0
KEY_PREFIX = "coatcheck:"

LOST = (redis.RedisError, OperationalError, OSError)

T = TypeVar("T")


class Line:
    """A Redis that may be away: no call waits longer than WAIT_S, none fails, and after one that did Redis is
    left alone until it answers again, which a thread looks for."""

    def __init__(self, redis_url: str) -> None:
        self.redis = redis.Redis.from_url(
            redis_url, socket_timeout=WAIT_S, socket_connect_timeout=WAIT_S, retry=None, health_check_interval=15
        )
        self.away = False

    def call(self, do: Callable[[], T], otherwise: T) -> T:
        """What `do` gives, or `otherwise` while Redis is away."""
        if self.away:
            return otherwise
        try:
            return do()
        except LOST:
            metrics.REDIS_FAILURES.inc()
            self.away = True
            try:
                threading.Thread(target=_look, args=(weakref.ref(self),), name="redis", daemon=True).start()
            except RuntimeError:  # there may be no thread more: then whoever comes next looks
                self.away = False
            return otherwise

    def ping(self) -> bool:
        try:
            return bool(self.redis.ping())
        except LOST:
            return False


def _look(watched: weakref.ref[Line]) -> None:
    """Until it answers, or nobody uses it any more."""
    while (line := watched()) is not None:
        if line.ping():
            line.away = False
            return
        del line
        time.sleep(PAUSE_S)


def producer(url: str) -> celery.Celery:
    """A Celery app that can only send."""
    app = celery.Celery("coatcheck-producer", broker=url, set_as_current=False)
    app.conf.update(
        result_backend=None,
        task_serializer="json",
        broker_connection_retry=False,
        broker_connection_max_retries=0,
        broker_transport_options={
            "socket_timeout": WAIT_S,
            "socket_connect_timeout": WAIT_S,
            "retry_on_timeout": False,
            "max_retries": 0,
            "global_keyprefix": KEY_PREFIX,
        },
    )
    return app


class Hints:
    """Best-effort wake-ups: at most one unread per pool, sent after COMMIT, failures counted and swallowed."""

    def __init__(self, redis_url: str, line: Line) -> None:
        self._line = line
        self._app = producer(redis_url)

    def send(self, pool: str) -> bool:
        """Wake `pool` unless somebody just did; True when a message went out."""
        result = self._line.call(lambda: self._send(pool), "failed")
        metrics.HINTS.labels(result).inc()
        return result == "sent"

    def _send(self, pool: str) -> str:
        if not self._line.redis.set(_flag(pool), b"1", nx=True, px=HINT_TTL_MS):
            return "joined"
        # A publish that fails must not leave its trace context behind in the caller's.
        # No `expires`: it is a moment on the sender's clock, and a worker whose clock is ahead would drop the message.
        contextvars.copy_context().run(
            self._app.send_task,
            DELIVER if pool == WEBHOOKS else WAKE,
            args=[pool],
            queue=pool,
            retry=False,
            ignore_result=True,
        )
        return "sent"

    def clear(self, pool: str) -> None:
        """Call before claiming: whoever commits after this may hint again, so nothing falls between."""
        self._line.call(lambda: self._line.redis.delete(_flag(pool)), None)


def _flag(pool: str) -> str:
    return f"{KEY_PREFIX}hint:{pool}"
