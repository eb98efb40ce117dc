"""What is kept under an Idempotency-Key is read again as it was, by this release and by those that come."""

from __future__ import annotations

import uuid
from typing import Any

import orjson
import pytest

from core import errors
from inference.output import Label
from jobs.idempotency import Key
from jobs.job import Status, Timing
from jobs.result import Fault
from serving import once, replies
from serving.values import Answer, Answers, Reply, Served, Ticket

SERVED = Served("sentiment", "1.0.0", "canary next")
LABEL = Label("positive", 0.75, {"positive": 0.75, "negative": 0.25})
TIMING = Timing(1.0, 2.0, 3.0)
REPLIES: dict[str, tuple[str, Reply]] = {
    "ticket": ("ticket", Ticket(uuid.UUID(int=1), Status.PENDING, SERVED, "r-1", "respond-async")),
    "ticket without a preference": ("ticket", Ticket(uuid.UUID(int=1), Status.PROCESSING, SERVED, "r-1")),
    "answer": ("answer", Answer(LABEL, "simple", SERVED, "r-1", TIMING)),
    "answer of an earlier release": ("answer", Answer(LABEL, "", SERVED, "r-1")),
    "answers": ("answers", Answers([LABEL, Fault.of(errors.ModelError())], SERVED, "r-1", TIMING)),
    "no answers": ("answers", Answers([], SERVED, "r-1")),
}


@pytest.mark.parametrize(("form", "reply"), REPLIES.values(), ids=REPLIES)
def test_a_reply_that_was_kept_is_read_as_it_was_under_the_name_of_its_form(form: str, reply: Reply) -> None:
    stored: Any = orjson.loads(orjson.dumps(replies.kept(reply)))
    assert stored["form"] == form
    assert replies.read(stored) == reply


def test_nothing_is_kept_of_a_reply_without_a_key() -> None:
    _, reply = REPLIES["answer"]
    assert once.kept(None, reply) is None
    assert once.kept(Key(uuid.UUID(int=1), "predict", "k", b""), reply) == replies.kept(reply)
