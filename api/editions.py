"""Versions of the API: what each is called, where it is, and how a refusal looks in it.

Nothing here knows which there are: the app lists them.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import flask

ROOT = "/api"
#: Where a request's environment says which version answers it, and whether that was chosen by what it accepts.
KEY, CHOSEN = "coatcheck.edition", "coatcheck.edition_chosen"
#: And which there are, from the first to the newest.
KNOWN = "coatcheck.editions"


class Edition(abc.ABC):
    """One version of the API."""

    name: ClassVar[str]
    #: Before Flask's names of its routes.
    namespace: ClassVar[str] = ""
    #: Whether a client is refused that accepts nothing of what there is, also at an address that names the version.
    minds_accept: ClassVar[bool] = True

    @property
    def prefix(self) -> str:
        return f"{ROOT}/{self.name}"

    @property
    def media_type(self) -> str:
        """By which a client asks for it at an address that names no version."""
        return f"application/vnd.coatcheck.{self.name}+json"

    def endpoint(self, route: str) -> str:
        """Flask's name of one of its routes."""
        return f"{self.namespace}{route}"

    @abc.abstractmethod
    def refusal(self, said: Mapping[str, Any], status: int) -> flask.Response:
        """An error, by all that is said of it."""


def here() -> Edition:
    """The one that answers this request; outside of ROOT it is the first there was."""
    found: Edition = flask.request.environ[KEY]
    return found


@functools.cache
def route(endpoint: str) -> str:
    """The name of a route, which is the same in every version of the API, by Flask's name of it in one of them."""
    return ".".join(endpoint.split(".")[-2:])
