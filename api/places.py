"""Places for what holds a thread, so that no tenant holds them all."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable

from prometheus_client import Gauge

from core import errors


class Places:
    """Places for `total` at once, of which one tenant has at most its `part` (but always one). Safe to use from any
    thread."""

    def __init__(
        self, what: str, total: int, part: float, gauge: Gauge, *, own_limit: type[errors.Busy] = errors.Busy
    ) -> None:
        self._what, self._total, self._gauge, self._own_limit = what, total, gauge, own_limit
        self.per_tenant = max(1, int(total * part))
        self._lock = threading.Lock()
        self._taken: Counter[uuid.UUID] = Counter()

    def take(self, tenant_id: uuid.UUID) -> Callable[[], None]:
        """Take a place, and return what gives it back, which may be called twice; raises Busy when all are taken, and
        `own_limit` when all of the tenant's are."""
        with self._lock:
            if self._taken[tenant_id] >= self.per_tenant:
                raise self._own_limit(
                    f"Your tenant has {self.per_tenant} {self._what} already, which is as many as one tenant may have "
                    "in one process; end one, or try again"
                )
            if self._taken.total() >= self._total:
                raise errors.Busy(f"There are {self._total} {self._what} of all tenants here already; try again")
            self._taken[tenant_id] += 1
        self._gauge.inc()
        # A lock that only one can take: the place is given back once.
        held = threading.Lock()
        return lambda: self._give_back(tenant_id) if held.acquire(blocking=False) else None

    def _give_back(self, tenant_id: uuid.UUID) -> None:
        with self._lock:
            self._taken[tenant_id] -= 1
            # Those that are at zero are not kept.
            self._taken = +self._taken
        self._gauge.dec()
