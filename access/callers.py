"""Who comes in: one with a key, one with a token of the issuer, or a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from access import keys
from access.keys import Caller, Keyring
from access.strangers import Strangers
from core import errors

if TYPE_CHECKING:
    from access.tokens import Tokens


class Callers:
    """Tells who it is by what they show: a token where an issuer is configured, nothing where strangers are let in."""

    def __init__(self, keyring: Keyring, tokens: Tokens | None, strangers: Strangers | None) -> None:
        self._keyring, self._tokens, self._strangers = keyring, tokens, strangers

    def verify(self, token: str | None, address: str) -> Caller:
        """Who shows this and comes from there. A token that opens nothing makes nobody a stranger.

        Raises Unauthorized, in the same words whatever is wrong, Forbidden and Unavailable.
        """
        if token is None and self._strangers is not None:
            return self._strangers.caller(address)
        if token is not None and _is_of_issuer(token) and self._tokens is not None:
            return self._tokens.verify(token)
        return self._keyring.verify(token, address)

    def knows(self, token: str | None) -> bool:
        """Whether nobody need be asked to verify it."""
        if token is None and self._strangers is not None:
            return self._strangers.are_known
        if token is not None and _is_of_issuer(token) and self._tokens is not None:
            return self._tokens.knows(token)
        return self._keyring.knows(token)

    def is_due(self, token: str | None) -> bool:
        """Whether a key that is known has to be asked about soon."""
        return token is not None and self._keyring.is_due(token)

    def look_ahead(self, token: str) -> None:
        """Ask about a key that is known; raises Unauthorized, Unavailable."""
        self._keyring.look_ahead(token)


def shown(authorization: str | None, key: str | None) -> str | None:
    """The token that comes as `Authorization: Bearer` or as `X-API-Key`; None where neither does.

    Raises Unauthorized for both, of which none is the better one, and for an Authorization of another kind.
    """
    if authorization is not None and key is not None:
        raise errors.Unauthorized("Give the API key once: either as Authorization: Bearer, or as X-API-Key")
    if authorization is None:
        return key
    if authorization[:7].lower() != "bearer ":
        raise errors.Unauthorized("Give the API key as Authorization: Bearer cck_…, or as X-API-Key: cck_…")
    return authorization[7:].strip()


def may_open(token: str | None) -> bool:
    """Whether this may be a key, or a token of an issuer, as far as can be told without a look at any."""
    return token is not None and (_is_of_issuer(token) or keys.may_open(token))


def _is_of_issuer(token: str) -> bool:
    return "." in token  # which no key has
