"""What a caller may use: each request, and each unit, is judged here before anything is done for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from access import ladder, quota
from access.conduct import Conduct
from access.keys import Caller
from access.ledger import Ledger
from access.quota import Quota
from access.rates import Policy, Rates, Standing
from core import errors

#: What is said by whoever lets nobody in.
REFUSED = (errors.RateLimited, errors.RequestTooCostly, errors.QuotaExceeded)


@dataclass
class Bill:
    """What something costs in the end."""

    units: int


class Gate:
    """One process's; may be shared by threads. Without `limits` it lets everybody through."""

    def __init__(self, rates: Rates, month: Quota, conduct: Conduct, ledger: Ledger, *, limits: bool) -> None:
        self._rates, self._month, self._conduct, self._ledger = rates, month, conduct, ledger
        self._limits = limits

    def enter(self, caller: Caller) -> None:
        """With one request; raises RateLimited."""
        if self._limits:
            self._take(caller.tier.requests, caller, 1)

    def spend(self, caller: Caller, units: int) -> None:
        """For what is about to be done. Who is refused has not made a request. Raises RateLimited, RequestTooCostly,
        QuotaExceeded."""
        if not self._limits or units == 0:
            return
        try:
            self._take(caller.tier.units, caller, units)
            self._check_month(caller, units)
        except REFUSED:
            self._rates.give_back(caller.tier.requests, caller.party, 1)
            raise

    @contextmanager
    def spending(self, caller: Caller, units: int) -> Iterator[Bill]:
        """The same around what is done: what then was not, because it failed or by what the bill says, costs
        nothing."""
        self.spend(caller, units)
        bill = Bill(units)
        try:
            yield bill
        except Exception:
            bill.units = 0
            raise
        finally:
            if self._limits and bill.units < units:
                self._rates.give_back(caller.tier.units, caller.party, units - bill.units)

    @contextmanager
    def answering(self, caller: Caller, model: str, version: str, units: int) -> Iterator[Bill]:
        """The same around what is answered at once, which is then written down."""
        with self.spending(caller, units) as bill:
            yield bill
        self._ledger.add(caller, model, version, units=bill.units)

    def standing(self, caller: Caller) -> list[Standing]:
        """How the caller stands to each rate; nothing where nobody is limited."""
        if not self._limits:
            return []
        return [self._rates.standing(policy, caller.party) for policy in (caller.tier.requests, caller.tier.units)]

    def month(self, caller: Caller) -> quota.Standing | None:
        """How the caller's tenant stands in this month; None where it has no limit."""
        return self._month.standing(caller) if self._limits and caller.tier.monthly_units else None

    def conduct(self, caller: Caller) -> ladder.Standing | None:
        """Where the caller is on the ladder of those who make errors; None: not on it."""
        return self._conduct.standing(caller.subject)

    def _take(self, policy: Policy, caller: Caller, cost: int) -> None:
        """Of the bucket that a tenant's keys share, and, for who is slowed, of a smaller one of its own."""
        self._rates.take(policy, caller.party, cost)
        share = self._conduct.share(caller.subject)
        if share < 1.0:
            try:
                self._rates.take(policy.part(share), caller.subject, cost)
            except (errors.RateLimited, errors.RequestTooCostly):
                self._rates.give_back(policy, caller.party, cost)
                raise

    def _check_month(self, caller: Caller, units: int) -> None:
        try:
            self._month.check(caller, units)
        except errors.QuotaExceeded:
            self._rates.give_back(caller.tier.units, caller.party, units)
            raise
