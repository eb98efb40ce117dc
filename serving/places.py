"""Places for what holds a thread, so that no tenant holds them all."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

from prometheus_client import Gauge

from core import errors


class Places:
    """Places for `total` at once, of which one tenant has at most its `part` (but always one). Safe to use from any
    thread."""

    def __init__(
        self, what: str, total: int, part: float, gauge: Gauge, *, own_limit: type[errors.Busy] = errors.Busy
    ) -> None:
        self._what, self._total, self._own_limit = what, total, own_limit
        self.per_tenant = max(1, int(total * part))
        self.taken = 0
        self._lock = threading.Lock()
        self._by_tenant: dict[int, int] = {}
        gauge.set_function(lambda: self.taken)

    def take(self, tenant_id: uuid.UUID) -> Callable[[], None]:
        """Take a place, and return what gives it back, which may be called twice; raises Busy when all are taken, and
        `own_limit` when all of the tenant's are."""
        with self._lock:
            mine = self._by_tenant.get(tenant_id.int, 0)
            if mine >= self.per_tenant:
                raise self._own_limit(
                    f"Your tenant has {self.per_tenant} {self._what} already, which is as many as one tenant may have "
                    "in one process; end one, or try again"
                )
            if self.taken >= self._total:
                raise errors.Busy(f"There are {self._total} {self._what} of all tenants here already; try again")
            self._by_tenant[tenant_id.int] = mine + 1
            self.taken += 1
        held = [tenant_id.int]
        return lambda: self._give_back(held)

    def _give_back(self, held: list[int]) -> None:
        """Empties `held`, so that it is given back once."""
        with self._lock:
            if not held:
                return
            tenant = held.pop()
            self.taken -= 1
            left = self._by_tenant.pop(tenant) - 1
            if left:
                self._by_tenant[tenant] = left
