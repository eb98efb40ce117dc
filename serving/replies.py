"""Replies as they are kept with an Idempotency-Key."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from core import ids
from jobs import result
from jobs.job import Status, Timing
from serving.values import Answer, Answers, Reply, Served, Ticket

_FORMS: Mapping[str, type[Ticket | Answer | Answers]] = {"ticket": Ticket, "answer": Answer, "answers": Answers}


def kept(reply: Reply) -> dict[str, Any]:
    """As JSON."""
    form = next(name for name, kind in _FORMS.items() if isinstance(reply, kind))
    kept = {"form": form, **dataclasses.asdict(reply)}
    if isinstance(reply, Answer):
        kept["said"] = result.dump(reply.said)
    elif isinstance(reply, Answers):
        kept["said"] = [result.dump(item) for item in reply.said]
    return kept


def read(found: Mapping[str, Any]) -> Reply:
    """What `kept` made."""
    if "form" not in found:
        return _of_an_earlier_release(found)
    values = {name: value for name, value in found.items() if name != "form"}
    values["served"] = Served(**values["served"])
    if values.get("timing"):
        values["timing"] = Timing(**values["timing"])
    if found["form"] == "ticket":
        values |= {"job_id": uuid.UUID(values["job_id"]), "status": Status(values["status"])}
    elif found["form"] == "answer":
        values["said"] = result.load(values["said"])
    else:
        values["said"] = [result.load(item) for item in values["said"]]
    return _FORMS[found["form"]](**values)


def _of_an_earlier_release(found: Mapping[str, Any]) -> Reply:
    """Those kept answers as HTTP; none is older than two days, and then this can go."""
    body, headers = found["body"], found["headers"]
    served = Served(body["model"], body["model_version"], headers["X-Model-Route"])
    if "job_id" in body:
        job_id = ids.parse_job_id(body["job_id"])
        return Ticket(job_id, Status(body["status"]), served, body["request_id"], headers.get("Preference-Applied"))
    if "predictions" in body:
        return Answers([result.load(item) for item in body["predictions"]], served, body["request_id"])
    explained = body.get("explanation", {})
    said = {**body, "scores": explained.get("scores", {})}
    return Answer(result.load(said), explained.get("method", ""), served, body["request_id"])
