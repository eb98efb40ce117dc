"""A job's events as Server-Sent Events (WHATWG HTML §9.2): each with an id to come back with, the terminal one last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import flask
import orjson
import structlog

from api import admission
from api.resources import Resources
from core import errors, ids
from jobs import events
from jobs.job import Job

log = structlog.get_logger()

_EVENT_ID = re.compile(r"[0-9]{1,18}")


def last_event_id(here: Resources, job: Job) -> int:
    """The event that the client has seen last, or -1; raises InvalidInput."""
    given = flask.request.headers.get("Last-Event-ID")
    if given is None:
        return -1
    if not _EVENT_ID.fullmatch(given) or not events.knows(here.engine, job, int(given)):
        raise errors.InvalidInput.field("Last-Event-ID", "is not the id of an event of this job", received=given[:40])
    return int(given)


def respond(here: Resources, job: Job) -> flask.Response:
    """What the client has not seen yet, and then what happens, for as long as the key is good; raises InvalidInput, and
    Busy when there is no place."""
    after = last_event_id(here, job)
    admission.move_to(here.streams)
    response = flask.Response(_lines(here, job, after, admission.verifier()), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    # Also when the client went away before the first line, which is when the generator never runs.
    response.call_on_close(admission.keep_place())
    return response


def _lines(here: Resources, job: Job, after: int, look_again: Callable[[], object]) -> Iterator[bytes]:
    yield b": " + ids.job_id(job.id).encode() + b"\n\n"
    try:
        for event in here.follower.follow(job, after):
            look_again()
            yield b": waiting\n\n" if event is None else _line(job, event)
    except (errors.Unauthorized, errors.Forbidden):
        log.info("event_stream_ended_with_its_key", job_id=str(job.id))
    except errors.Unavailable:
        # The headers are out; ending the stream makes the client come back with its last id.
        log.warning("event_stream_cut", job_id=str(job.id))


def _line(job: Job, event: events.Event) -> bytes:
    data = {
        "job_id": ids.job_id(job.id),
        "event": event.type,
        "at": event.at,
        "progress": event.progress,
        "attempt": event.attempt,
        "batch_size": event.batch_size,
        "run_ms": event.run_ms,
        "error": event.error,
        **(event.output or {}),
    }
    known = {name: value for name, value in data.items() if value is not None}
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (event.id, event.type.encode(), orjson.dumps(known))
