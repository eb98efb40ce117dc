"""From the bytes of a message to those of its answer, and what is said beside them."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from access import entrance, limits, networks
from core import database, errors
from rpc import errors as codes
from rpc.call import Call
from rpc.methods import Method
from rpc.visit import Visit
from wiring.door import Door

log = structlog.get_logger()

OK = grpc.StatusCode.OK


@dataclass(frozen=True)
class Answer:
    """`data` where all went well, else a status and its details; `told` is for the metadata at its end."""

    told: tuple[tuple[str, str], ...]
    data: bytes = b""
    code: grpc.StatusCode = OK
    details: str = ""


def answer(door: Door, method: Method, call: Call, data: bytes) -> Answer:
    """Takes as long as it takes."""
    structlog.contextvars.bind_contextvars(request_id=call.request_id)
    visit = Visit(door, call, method.scopes)
    try:
        # Nobody is charged for what nobody waits for.
        visit.check_awaited()
        if method.scopes:
            visit.enter(predicts=method.predicts)
        made = method.run(door, visit, _read(method, data)).SerializeToString()
    except errors.CoatcheckError as error:
        return refused(door, visit, error)
    except database.OUTAGES as error:
        log.exception("database_outage", error=type(error).__name__)
        return refused(door, visit, database.unavailable(error))
    except Exception as error:
        log.exception("bug", error=type(error).__name__)
        return refused(door, visit, errors.CoatcheckError("Something went wrong on our side"))
    finally:
        visit.leave()
    if visit.known is not None:
        door.conduct.went_well(visit.known.subject)
    return Answer(_told(door, visit), made)


def refused(door: Door, visit: Visit, error: errors.CoatcheckError) -> Answer:
    """An error, which is told to its caller and counted against it."""
    call, caller, code = visit.call, visit.known, codes.status(error)
    if code is grpc.StatusCode.INTERNAL:
        log.error("request_failed", code=error.code, error=str(error))
    subject = caller.subject if caller else f"address:{networks.of(call.address)}"
    shown = call.shown if code is grpc.StatusCode.UNAUTHENTICATED else ""
    weight, tenant_id = codes.WEIGHTS.get(code, 0.0), caller.tenant_id if caller else None
    wait_s = entrance.failed(door.conduct, subject, tenant_id, weight, error, shown)
    call.told["x-error-code"] = error.code
    call.told.update(zip(("x-model-version", "x-model-route"), error.served or (), strict=False))
    if retry_after_s := max(wait_s, codes.retry_after_s(error)):
        call.told["retry-after"] = str(retry_after_s)
    return Answer(_told(door, visit), code=code, details=codes.details(error))


def _read(method: Method, data: bytes) -> Message:
    """Raises MalformedRequest."""
    try:
        return method.request.FromString(data)
    except DecodeError as error:
        name = method.request.DESCRIPTOR.full_name
        raise errors.MalformedRequest(details={"field": "message", "issue": f"is no {name}"}) from error


def _told(door: Door, visit: Visit) -> tuple[tuple[str, str], ...]:
    """What every answer says: which request it was, and how its caller stands."""
    call, caller = visit.call, visit.known
    said = [("x-request-id", call.request_id), *call.told.items()]
    if caller is not None:
        said += [(name.lower(), value) for name, value in limits.headers(door.gate, caller)]
        if (found := door.conduct.standing(caller.subject)) is not None:
            said.append(("x-conduct", found.told))
    return tuple(said)
