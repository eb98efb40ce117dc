"""Who comes in: one with a key, or a stranger."""

from __future__ import annotations

from access.keys import Caller, Keyring
from access.strangers import Strangers


class Callers:
    """Tells who it is by what they show; whom nobody is there for, a stranger where strangers are refused, is
    refused."""

    def __init__(self, keyring: Keyring, strangers: Strangers | None) -> None:
        self._keyring, self._strangers = keyring, strangers

    def verify(self, token: str | None, address: str) -> Caller:
        """Who shows this and comes from there. A token that opens nothing makes nobody a stranger.

        Raises Unauthorized, in the same words whatever is wrong, and Unavailable.
        """
        if token is None and self._strangers is not None:
            return self._strangers.caller(address)
        return self._keyring.verify(token, address)
