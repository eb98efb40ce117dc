"""What a caller may use: each request, and each unit, is judged here before anything is done for it."""

from __future__ import annotations

from collections.abc import Callable

from access import ladder, quota
from access.conduct import Conduct
from access.keys import Caller
from access.ledger import Ledger
from access.quota import Quota
from access.rates import Policy, Rates, Standing
from core import errors

#: What is said by whoever lets nobody in.
REFUSED = (errors.RateLimited, errors.RequestTooCostly, errors.QuotaExceeded)
#: And where nobody can say: what was taken until then is given back as well.
NOT_DONE = (*REFUSED, errors.Unavailable)


class Gate:
    """One process's; may be shared by threads. Without `limits` it lets everybody through."""

    def __init__(self, rates: Rates, month: Quota, conduct: Conduct, ledger: Ledger, *, limits: bool) -> None:
        self._rates, self._month, self._conduct, self._ledger = rates, month, conduct, ledger
        self._limits = limits

    def enter(self, caller: Caller) -> None:
        """With one request; raises RateLimited."""
        if self._limits:
            self._take(caller.tier.requests, caller, 1)

    def look_ahead(self, caller: Caller) -> None:
        """Before what it asks for is read: whether it is known that there are no units at all. Who is refused has not
        made a request. Raises RateLimited, QuotaExceeded, Unavailable."""
        if not self._limits:
            return
        try:
            self._rates.look_ahead(caller.tier.units, caller.party)
            self._month.look_ahead(caller)
        except NOT_DONE:
            self._give_back(caller.tier.requests, caller, 1)
            raise

    def spend(self, caller: Caller, units: int) -> None:
        """For what is about to be done. Who is refused has not made a request. Raises RateLimited, RequestTooCostly,
        QuotaExceeded, Unavailable."""
        if not self._limits or units == 0:
            return
        try:
            self._take(caller.tier.units, caller, units)
            self._check_month(caller, units)
        except NOT_DONE:
            self._give_back(caller.tier.requests, caller, 1)
            raise

    def spending(self, caller: Caller, units: int) -> Bill:
        """The same around what is done."""
        self.spend(caller, units)
        return Bill(self, caller, units, self._month.hold(caller, units))

    def give_back(self, caller: Caller, units: int) -> None:
        """What was spent on something that then was not done."""
        if self._limits:
            self._give_back(caller.tier.units, caller, units)
            self._month.give_back(caller, units)

    def write_down(self, caller: Caller, model: str, version: str, units: int) -> None:
        """What was answered at once, and what it cost, for the ledger."""
        self._ledger.add(caller, model, version, units=units)

    def leave(self, caller: Caller) -> None:
        """Of who entered with a request that is to be made elsewhere."""
        if self._limits:
            self._give_back(caller.tier.requests, caller, 1)

    def knows(self, caller: Caller) -> bool:
        """Whether it judges without asking the database."""
        return not self._limits or self._month.knows(caller)

    def is_due(self, caller: Caller) -> bool:
        """Whether it will have to ask the database soon."""
        return self._limits and self._month.is_due(caller)

    def look_anew(self, caller: Caller) -> None:
        """Ask it before that."""
        self._month.look_anew(caller)

    def standing(self, caller: Caller) -> tuple[Standing, Standing] | None:
        """How the caller stands to its rates of requests and of units; None where nobody is limited."""
        if not self._limits:
            return None
        tier, party = caller.tier, caller.party
        return self._rates.standing(tier.requests, party), self._rates.standing(tier.units, party)

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
        except NOT_DONE:
            self._give_back(caller.tier.units, caller, units)
            raise


class Bill:
    """Around what is done for so many units: what then was not, because it failed or because `units` says so at the
    end, costs nothing. A run that took all of its time did cost what it costs."""

    __slots__ = ("_caller", "_gate", "_taken", "_under_way_no_more", "units")

    def __init__(self, gate: Gate, caller: Caller, units: int, under_way_no_more: Callable[[], None]) -> None:
        self._gate, self._caller, self._under_way_no_more = gate, caller, under_way_no_more
        self._taken = self.units = units

    def __enter__(self) -> Bill:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, errors.TimedOut):
            self.units = 0
        if self.units < self._taken:
            self._gate.give_back(self._caller, self._taken - self.units)
        self._under_way_no_more()
