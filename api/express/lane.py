"""The lane itself: what it answers, and what it hands over."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import structlog
from prometheus_client import Counter, Histogram

from access import entrance, gate, limits, networks
from access.credit import Credit
from access.keys import Caller
from api import context
from api.express import plain, tickets
from api.express.aside import Aside
from api.express.line import Line
from api.express.paces import Paces
from api.express.plain import Body, Head, Scope
from api.express.tickets import Ordered, Tickets
from api.v1.present import V1
from core import database, errors, ids, metrics
from core.http import SAFE_HEADERS
from core.tally import Tally
from jobs import presence
from registry.versions import Resolved
from serving import asking, predict
from serving.values import Answer, Ask, Replied, Served
from wiring.door import Door

log = structlog.get_logger()

Headers = list[tuple[str, str]]
#: Status, headers and body of an answer.
Said = tuple[int, Headers, bytes]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: How long a run may take that was to be quick.
RUN_S = 0.25
#: Who has waited for so long is not answered: not much later the proxy asks the API.
LATE_S = 2.0
#: So long before the database's clock has to be looked at again it is.
AHEAD_S = 30.0
#: What the proxy takes for: ask the API.
HAND_OVER: Headers = [("x-accel-redirect", "@api")]
#: What supervisors and health checks ask for.
HEALTH = "/healthz"
_FIRST: Headers = [("content-type", plain.TYPE), *SAFE_HEADERS.items()]


class Lane:
    """An ASGI app (3.0), whose process does nothing else."""

    def __init__(self, door: Door) -> None:
        self._door = door
        # Whoever comes first does not wait for these to be made.
        self._serving, self._gate, self._callers, self._conduct = door.serving, door.gate, door.callers, door.conduct
        self._line, self._aside, self._paces, self._v1 = Line(), Aside(), Paces(door.shelf), V1()
        self._credit, self._tickets = Credit(door.line), Tickets(door.serving, door.gate)
        versions = door.settings.versions
        #: Which its answers say.
        self._v1_ends = bool(versions.v1_deprecated_at or versions.v1_sunset_at)
        self._tally = Tally(metrics.OF_ALL + metrics.OF_HTTP + metrics.OF_EXPRESS, "express")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        began = time.perf_counter()
        if scope["path"] == HEALTH:
            await _send(send, 200, [], b"")
            return
        head = None if self._v1_ends else plain.head(scope)
        data = await _whole(receive)
        answer: Said | Ordered | None = None
        in_turn = head is not None and data is not None and await self._line.turn(head.token or head.speaks_for)
        # Whom the proxy has taken elsewhere meanwhile is answered there.
        if head is not None and data is not None and in_turn and time.perf_counter() - began < LATE_S:
            answer = self._answered(head, data, began)
        if isinstance(answer, Ordered):
            answer = await self._accepted(answer)
        metrics.EXPRESS.labels("handed_over" if answer is None else "answered").inc()
        await _send(send, *(answer or (200, HAND_OVER, b"")))

    async def _live(self, receive: Receive, send: Send) -> None:
        """From the start to the end of the process."""
        await receive()
        threading.Thread(target=presence.always, args=(self._tell,), name="tally", daemon=True).start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        with contextlib.suppress(*database.OUTAGES):
            self._tell()
        self.close()
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """Wait for what is being asked aside, which uses the door, and close that."""
        self._aside.close()
        self._door.close()

    def _tell(self) -> None:
        """What was counted here; raises an outage."""
        self._credit.tell()
        self._tally.tell(self._door.engine)

    def _answered(self, head: Head, data: bytes, began: float) -> Said | Ordered | None:
        """In one go, a job as far as that is to be stored; None for what is handed over, of which nothing is left
        here."""
        try:
            caller = self._caller(head)
            # Of strangers nothing is read: it would take the time of those who are known.
            if caller is None or (body := plain.body(data)) is None:
                return None
            ask = _ask(caller, head, body, began)
            structlog.contextvars.bind_contextvars(request_id=ask.request_id)
            resolved = self._known(ask)
            if resolved is not None and head.path == plain.JOBS:
                return self._tickets.order(ask, body) if self._knows_the_time() else None
            if resolved is None or not self._is_quick(resolved):
                return None
            return self._told(ask, self._predicted(ask, resolved, body.inputs))
        except (errors.CoatcheckError, *database.OUTAGES):
            return None
        except Exception as error:
            log.exception("bug", error=type(error).__name__)
            return None

    def _caller(self, head: Head) -> Caller | None:
        """None where somebody would have to be asked; raises Blocked, Unauthorized, Forbidden."""
        address = networks.behind(head.connected, head.speaks_for, self._door.settings.http.trusted_proxies)
        if not self._callers.knows(head.token):
            self._aside.ask(head.token, lambda: self._verified(head, address))
            return None
        if self._callers.is_due(head.token):
            self._aside.ask(("again", head.token), lambda: self._callers.look_ahead(head.token or ""))
        caller = self._verified(head, address)
        self._conduct.enter(caller.subject)
        caller.require("jobs" if head.path == plain.JOBS else "predict")
        if not self._gate.knows(caller):
            self._aside.ask(caller.tenant_id, lambda: self._gate.month(caller))
            return None
        if self._gate.is_due(caller):
            self._aside.ask(caller.tenant_id, lambda: self._gate.look_anew(caller))
        return caller

    def _verified(self, head: Head, address: str) -> Caller:
        return entrance.verified(self._conduct, self._callers, head.token, address)

    def _known(self, ask: Ask) -> Resolved | None:
        """The version that answers, if no more is to be said with it; raises Forbidden."""
        catalog = self._door.catalog
        if catalog.is_due:
            self._aside.ask("catalog", catalog.look_ahead)
        resolved = catalog.remembered(ask.model, ask.version, ask.unit)
        if resolved is None or catalog.deprecation(resolved.model, resolved.version):
            return None
        ask.caller.bounds.check_model(resolved.model)
        return resolved

    def _knows_the_time(self) -> bool:
        """Of which a job's number is made."""
        clock = self._serving.clock
        left_s = clock.knows_for()
        if left_s < AHEAD_S:
            self._aside.ask("clock", clock.look)
        return left_s > LATE_S

    def _is_quick(self, resolved: Resolved) -> bool:
        """Whether it can answer at once, and nobody else is to see what comes of it."""
        if not resolved.manifest.inline or resolved.mirrors:
            return False
        return not self._serving.witness.watches(resolved.model, resolved.route) and self._paces.is_quick(resolved)

    def _predicted(self, ask: Ask, resolved: Resolved, given: object) -> Replied[Answer]:
        """Raises RateLimited, RequestTooCostly, QuotaExceeded, and of what the model says InvalidInput, ModelError,
        TimedOut: then the request has not been made, and is made anew by the API."""
        self._gate.enter(ask.caller)
        began = time.perf_counter()
        try:
            replied = predict.at_once(self._serving, ask, resolved, given)
        except gate.REFUSED:
            raise  # and they have not entered
        except Exception as error:
            if isinstance(error, errors.TimedOut):
                self._gate.give_back(ask.caller, resolved.manifest.cost(""))
            self._gate.leave(ask.caller)
            raise
        finally:
            self._paces.took(resolved, time.perf_counter() - began)
        return replied

    def _told(self, ask: Ask, replied: Replied[Answer]) -> Said:
        self._credit.add(ask.caller.subject)
        headers = self._heads(ask, plain.PREDICT, 200, replied.value.served)
        if replied.found:
            headers.append(("x-cache", replied.found))
        return 200, headers, orjson.dumps(self._v1.answer(replied.value))

    async def _accepted(self, ordered: Ordered) -> Said | None:
        """What is said of a job that was to be stored; None where it is not."""
        ask = ordered.ask
        try:
            found = await self._tickets.stored(ordered)
        except Exception as error:
            log.exception("bug", error=type(error).__name__)
            found = errors.Unavailable("Nobody knows whether it was stored")
        if found is None:
            return None
        if isinstance(found, errors.Unavailable):
            headers, data = tickets.refusal(found, ask.request_id)
            return 503, [*self._heads(ask, plain.JOBS, 503, None), *headers], data
        self._credit.add(ask.caller.subject)
        headers, data = tickets.shown(self._v1, found)
        return 202, [*self._heads(ask, plain.JOBS, 202, found.served), *headers], data

    def _heads(self, ask: Ask, path: str, status: int, served: Served | None) -> Headers:
        """What every answer says, which is counted with it."""
        requests, seconds = _counters(path, status)
        requests.inc()
        seconds.observe(time.perf_counter() - ask.began)
        told = [*_FIRST, ("x-request-id", ask.request_id)]
        if served is not None:
            told += [("x-model-version", served.version), ("x-model-route", served.route)]
        if (standing := self._conduct.standing(ask.caller.subject)) is not None:
            told.append(("x-conduct", standing.told))
        return told + limits.headers(self._gate, ask.caller)


async def _whole(receive: Receive) -> bytes | None:
    """A request's body; None where its client has gone."""
    message = await receive()
    data: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        data += message.get("body", b"")
    return None if message["type"] == "http.disconnect" else data


async def _send(send: Send, status: int, headers: Headers, data: bytes) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    raw.append((b"content-length", str(len(data)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": data})


def _ask(caller: Caller, head: Head, body: Body, began: float) -> Ask:
    """Raises InvalidInput."""
    said = head.said
    return Ask(
        caller,
        ids.request_id(said.get("x-request-id", "")),
        body.model,
        asking.version(said.get("x-model-version"), body.version),
        route_key=asking.route_key(said.get("x-route-key")),
        cache=body.cache,
        began=began,
        ends_at=time.monotonic() + RUN_S,
    )


@functools.cache
def _counters(path: str, status: int) -> tuple[Counter, Histogram]:
    return context.counters(path, "POST", status)
