"""What is asked twice under one Idempotency-Key is done once."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy

from access.keys import Caller
from core import errors
from jobs import idempotency, submit
from jobs.idempotency import Key
from serving import replies
from serving.serving import Serving
from serving.values import Replied, Reply

T = TypeVar("T")

Kept = Mapping[str, Any]

#: A Structured-Field string (RFC 8941), or the bare characters that most clients send.
_FORM = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"|([!#-~](?:[ -~]*[!-~])?)')
MAX_LENGTH = 255


def key(caller: Caller, route: str, given: str | None, asked: Mapping[str, Any]) -> Key | None:
    """The caller's Idempotency-Key, as it was given, for this route and what is asked; None if none was. Raises
    InvalidInput, and Unauthorized of a stranger: another one's might be the same."""
    if given is None:
        return None
    match = _FORM.fullmatch(given)
    if match is None or len(given) > MAX_LENGTH:
        raise errors.InvalidInput.field(
            "Idempotency-Key", f"must be one value of 1 to {MAX_LENGTH} printable ASCII characters"
        )
    if caller.network is not None:
        raise errors.Unauthorized("An Idempotency-Key needs an API key")
    return Key(caller.tenant_id, route, match[1] or match[2], idempotency.fingerprint(asked))


def computed(
    engine: sqlalchemy.Engine,
    key: Key | None,
    make: Callable[[], T],
    *,
    kept: Callable[[T], Kept],
    read: Callable[[Kept], T],
    of_job: Callable[[uuid.UUID], Replied[T]] | None = None,
) -> Replied[T]:
    """What `make` gives, computed at most once per key, and kept as `kept` writes it; `of_job` says what a job came to,
    where the key may stand for one. Raises IdempotencyMismatch and IdempotencyInProgress."""
    if key is None:
        return Replied(make())
    with engine.begin() as connection:
        found = idempotency.claim(connection, key)
    if isinstance(found, idempotency.Earlier):
        if found.reply is None:
            if of_job is None or found.job_id is None:
                raise errors.IdempotencyInProgress
            return of_job(found.job_id)
        return Replied(read(found.reply), again=True)
    try:
        made = make()
    except Exception:
        idempotency.forget(engine, found)
        raise
    with engine.begin() as connection:
        idempotency.answer(connection, found, kept(made))
    return Replied(made)


def written(engine: sqlalchemy.Engine, key: Key | None, make: Callable[[sqlalchemy.Connection], Kept]) -> Replied[Kept]:
    """What `make` writes, in one transaction with the key: neither is there without the other, whoever dies in between.
    Raises IdempotencyMismatch."""
    with engine.begin() as connection:
        found = idempotency.claim(connection, key) if key else None
        if isinstance(found, idempotency.Earlier) and found.reply is not None:
            return Replied(of_any_release(found.reply), again=True)
        made = make(connection)
        if isinstance(found, idempotency.Holder):
            idempotency.answer(connection, found, made)
    return Replied(made)


def of_any_release(found: Kept) -> Kept:
    """A kept JSON object. An earlier release kept answers as HTTP; none is older than two days, and then this can
    go."""
    body: Kept = found["body"] if found.keys() == {"status", "headers", "body"} else found
    return body


def replied(
    engine: sqlalchemy.Engine,
    key: Key | None,
    make: Callable[[], Reply],
    of_job: Callable[[uuid.UUID], Replied[Reply]],
) -> Replied[Reply]:
    """The same, of a reply: the key may stand for a job, where another version was asked then that needs one."""
    return computed(engine, key, make, kept=replies.kept, read=replies.read, of_job=of_job)


def kept(key: Key | None, reply: Reply) -> Kept | None:
    """What is kept of a reply if there is a key."""
    return replies.kept(reply) if key else None


def before(engine: sqlalchemy.Engine, key: Key | None) -> Replied[Reply] | None:
    """The reply that this key already stands for: it costs no room that a full backlog would not have. Raises
    IdempotencyMismatch."""
    return earlier(idempotency.find(engine, key) if key else None)


def earlier(found: idempotency.Earlier | None) -> Replied[Reply] | None:
    """A reply that was found, if it was one."""
    return Replied(replies.read(found.reply), again=True) if found and found.reply else None


def store(serving: Serving, new: submit.NewJob, key: Key | None, reply: Kept | None) -> idempotency.Earlier | None:
    """What `Submitter.submit` gives, for its cost: nothing where the key stands for a job already. Raises as that, and
    RateLimited, RequestTooCostly."""
    with serving.gate.spending(new.caller, new.units) as bill:
        found = serving.submitter.submit(new, key, reply)
        bill.units = 0 if found else new.units
    return found
