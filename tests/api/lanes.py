"""Who asks the express lane as the proxy does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from access import rates
from api.express import LIMITS, lane, paces
from api.express.lane import HAND_OVER, Lane
from core.settings import Settings
from tests.callers import Key
from tests.conftest import until
from wiring.door import Door

PATH = "/api/v1/predict"
GOOD = {"model": "sentiment", "inputs": {"text": "Lovely"}}
JSON = {"content-type": "application/json"}


def unhurried(patch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, no run is too slow for the lane, and what it has in hand of a limit stays."""
    for module, name in ((paces, "QUICK_S"), (lane, "RUN_S"), (rates, "LEASE_S")):
        patch.setattr(module, name, 60.0)


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Lane]:
    """A lane behind a door of its own, closed as its process closes it."""
    made = Lane(Door(settings, application="express-test", limits=LIMITS))
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Said:
    headers: Mapping[str, str]
    body: Any
    status: int = 200

    @property
    def handed_over(self) -> bool:
        nothing = Said({**dict(HAND_OVER), "content-length": "0"}, None)
        return self == nothing


@dataclass(frozen=True)
class Client:
    """Who asks the lane as the proxy does."""

    lane: Lane
    key: Key

    def ask(self, body: object = GOOD, *more: tuple[str, str], **how: Any) -> Said:
        return asyncio.run(self.asked(body, *more, **how))

    async def asked(
        self,
        body: object = GOOD,
        *more: tuple[str, str],
        headers: Mapping[str, str] = JSON,
        method: str = "POST",
        path: str = PATH,
        query: str = "",
        client: tuple[str, int] | None = None,
        parts: Sequence[dict[str, Any]] = (),
    ) -> Said:
        """`parts` come in the place of a body."""
        own = {"host": "localhost", "authorization": f"Bearer {self.key.token}", **headers}
        lines = [*((name, value) for name, value in own.items() if value), *more]
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        scope = {
            "type": "http", "method": method, "path": path, "query_string": query.encode(), "client": client,
            "headers": [(name.encode(), value.encode()) for name, value in lines],
        }  # fmt: skip
        coming = [*parts] or [
            {"type": "http.request", "body": data[:5], "more_body": True},
            {"type": "http.request", "body": data[5:]},
        ]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return coming.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.lane(scope, receive, send)
        start, end = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        assert int(told["content-length"]) == len(end["body"])
        return Said(told, orjson.loads(end["body"]) if end["body"] else None, start["status"])

    def answered(self, body: object = GOOD, *more: tuple[str, str], path: str = PATH) -> Said:
        """As soon as all that has to be asked aside is known, which may have to be asked again on a busy machine."""
        found: list[Said] = []

        def asked() -> bool:
            found[:] = [self.ask(body, *more, path=path)]
            return not found[0].handed_over

        until(asked)
        return found[0]

    def warm(self, body: object = GOOD) -> None:
        self.answered(body)
