"""What a caller may use: each request, and each unit, is judged here before anything is done for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from access.keys import Caller
from access.rates import Rates, Standing
from core import errors


@dataclass
class Bill:
    """What something costs in the end."""

    units: int


class Gate:
    """One process's; may be shared by threads. Where nobody is limited it lets everybody through."""

    def __init__(self, rates: Rates, *, limits: bool) -> None:
        self._rates = rates
        self._limits = limits

    def enter(self, caller: Caller) -> None:
        """With one request; raises RateLimited."""
        if self._limits:
            self._rates.take(caller.tier.requests, caller.party)

    def spend(self, caller: Caller, units: int) -> None:
        """For what is about to be done. Who is refused has not made a request. Raises RateLimited,
        RequestTooCostly."""
        if not self._limits or units == 0:
            return
        try:
            self._rates.take(caller.tier.units, caller.party, units)
        except (errors.RateLimited, errors.RequestTooCostly):
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

    def standing(self, caller: Caller) -> list[Standing]:
        """How the caller stands to each limit; nothing where nobody is limited."""
        if not self._limits:
            return []
        return [self._rates.standing(policy, caller.party) for policy in (caller.tier.requests, caller.tier.units)]
