"""Jobs that the lane takes in: what is ordered is paid for, stored with others, and answered with a ticket."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from access.gate import Gate
from api import errors as answered
from api.express.intake import Intake
from api.express.plain import JOBS, Body
from api.v1.present import RETRY_AFTER_S, V1
from core import errors, ids
from jobs.job import Status
from jobs.submit import NewJob
from serving import accept
from serving.serving import Serving
from serving.values import Ask, Order, Served, Ticket

log = structlog.get_logger()


@dataclass(frozen=True)
class Ordered:
    """A job that is paid for, and is to be stored."""

    ask: Ask
    new: NewJob
    served: Served


class Tickets:
    """Of one lane."""

    def __init__(self, serving: Serving, gate: Gate) -> None:
        self._serving, self._gate = serving, gate
        self._intake = Intake(serving.submitter)

    def order(self, ask: Ask, body: Body) -> Ordered | None:
        """None where more was asked of it than the lane knows. Raises RateLimited, RequestTooCostly, QuotaExceeded, and
        what `accept.job` raises; then there is nothing to be paid."""
        # While nothing can be stored here, it is the API's to find out and to say, at /ready as well.
        if body.cache is not None or type(body.inputs) is not dict or not self._serving.submitter.accepts:
            return None
        self._gate.enter(ask.caller)
        try:
            new, resolved = accept.job(self._serving, ask, Order(body.inputs))
        except errors.CoatcheckError:
            self._gate.leave(ask.caller)
            raise
        self._gate.spend(ask.caller, new.units)
        return Ordered(ask, new, Served.by(resolved))

    async def stored(self, ordered: Ordered) -> Ticket | errors.Unavailable | None:
        """The ticket once it is stored; an error where nobody knows whether it is, and None where it is not."""
        caller, new, request_id = ordered.ask.caller, ordered.new, ordered.ask.request_id
        fault = await self._intake.store(new)
        if fault is None:
            return Ticket(new.id, Status.PENDING, ordered.served, request_id)
        self._gate.give_back(caller, new.units)
        if isinstance(fault, errors.Unavailable):
            log.error("request_failed", code=fault.code, error=str(fault), request_id=request_id)
            return fault
        log.info("not_for_express", error=type(fault).__name__, request_id=request_id)
        # It is made anew by the API.
        self._gate.leave(caller)
        return None


def shown(edition: V1, ticket: Ticket) -> tuple[list[tuple[str, str]], bytes]:
    """As the API shows it."""
    at = f"{JOBS}/{ids.job_id(ticket.job_id)}"
    leads_to = {"self": at, "events": f"{at}/events", "cancel": f"{at}/cancel"}
    headers = [("location", at), ("retry-after", RETRY_AFTER_S)]
    return headers, orjson.dumps(edition.ticket(ticket, leads_to))


def refusal(error: errors.Unavailable, request_id: str) -> tuple[list[tuple[str, str]], bytes]:
    """As the API says it."""
    said: dict[str, Any] = {"error": answered.whole(errors.body(error), request_id)}
    return [("retry-after", str(math.ceil(error.retry_after_s)))], orjson.dumps(said)
