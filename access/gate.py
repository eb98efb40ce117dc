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
            self._give_back(caller.tier.requests, caller, 1)
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
                self._give_back(caller.tier.units, caller, units - bill.units)

    def write_down(self, caller: Caller, model: str, version: str, units: int) -> None:
        """What was answered at once, and what it cost, for the ledger."""
        self._ledger.add(caller, model, version, units=units)

    def standing(self, caller: Caller) -> list[Standing]:
        """How the caller stands to each rate; nothing where nobody is limited."""
        if not self._limits:
            return []
        return [self._rates.standing(policy, caller.party) for policy in (caller.tier.requests, caller.tier.units)]

    def month(self, caller: Caller) -> quota.Standing | None:
        """How the caller's tenant stands in this month; None where it has no limit. Raises Unavailable."""
        return self._month.standing(caller) if self._limits and caller.tier.monthly_units else None

    def month_remembered(self, caller: Caller) -> quota.Standing | None:
        """The same as it is known here, without asking the database."""
        return self._month.remembered(caller) if self._limits and caller.tier.monthly_units else None

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
            except errors.RateLimited:
                self._rates.give_back(policy, caller.party, cost)
                raise
            except errors.RequestTooCostly as error:
                self._rates.give_back(policy, caller.party, cost)
                raise errors.RateLimited(
                    f"Slowed for repeated errors: {policy.part(share).burst} {policy.name} at once, until that ends",
                    retry_after_s=self._conduct.left_s(caller.subject),
                    details=error.details,
                ) from error

    def _give_back(self, policy: Policy, caller: Caller, cost: int) -> None:
        """To both."""
        self._rates.give_back(policy, caller.party, cost)
        self._rates.give_back(policy, caller.subject, cost)

    def _check_month(self, caller: Caller, units: int) -> None:
        try:
            self._month.check(caller, units)
        except errors.QuotaExceeded:
            self._give_back(caller.tier.units, caller, units)
            raise
