"""A caller who was let in: at a place, for as long as the call is answered."""

from __future__ import annotations

from collections.abc import Callable

from access import entrance
from access.keys import Caller
from core import errors
from rpc.call import Call
from wiring.door import Door


class Visit:
    """Who may come in with which of these scopes, decided before the message is read. It is also who waits for a job:
    at another place, for as long as the key is good and the client there."""

    def __init__(self, door: Door, call: Call, scopes: tuple[str, ...]) -> None:
        self._door, self.call, self._scopes = door, call, scopes
        self._verified: Caller | None = None
        self._leave: Callable[[], None] = lambda: None

    @property
    def caller(self) -> Caller:
        """Whose call it is, once that is known."""
        if self._verified is None:
            raise errors.Unauthorized
        return self._verified

    @property
    def known(self) -> Caller | None:
        return self._verified

    def enter(self, *, predicts: bool) -> None:
        """Raises Blocked, Unauthorized, Forbidden, RateLimited, QuotaExceeded, TooManyRequests, Busy, Unavailable."""
        door, call = self._door, self.call
        self._verified = caller = entrance.verified(door.conduct, door.callers, call.token, call.address)
        door.conduct.enter(caller.subject)
        caller.require(*self._scopes)
        places = door.predictions if predicts else door.requests
        self._leave = places.take(caller.tenant_id)
        door.gate.enter(caller)
        if predicts and "idempotency-key" not in call.said:
            door.gate.look_ahead(caller)

    def leave(self) -> None:
        self._leave()

    def begin(self) -> bool:
        """Wait at a place of those who do, and no longer hold up who predicts."""
        try:
            leave = self._door.waiters.take(self.caller.tenant_id)
        except errors.Busy:
            return False
        self._leave()
        self._leave = leave
        return True

    def check_awaited(self) -> None:
        """Raises TimedOut where nobody waits any more."""
        if self.call.gone.is_set():
            raise errors.TimedOut("The client has gone")

    def look_again(self) -> object:
        """Raises Unauthorized, Forbidden, Unavailable, and TimedOut where nobody waits any more."""
        self.check_awaited()
        found = self._door.callers.verify(self.call.token, self.call.address)
        found.require(*self._scopes)
        return found
