"""From our values to v1's JSON, and to that of any later version, which says only what is other in it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import flask
from werkzeug.http import http_date

from api import editions, once, resources
from api.editions import Edition
from api.v1 import addresses, job_links, present_models
from core import errors, ids
from jobs import told
from jobs.bulk.progress import Done
from jobs.job import Job, Status
from jobs.result import Fault, Result, Rows, Several, Stored, WithFiles
from registry.versions import Version
from serving.retrieve import Detail
from serving.values import Answer, Answers, Replied, Reply, Served, Ticket

RETRY_AFTER_S = "1"
#: The longest that a client is told to wait before it asks again.
MAX_RETRY_AFTER_S = 30
NOTHING: Mapping[str, Any] = {}


class V1(Edition):
    """Version 1 of the API, which stays as it is."""

    name = "v1"
    #: It never minded, and its clients rely on that.
    minds_accept = False

    def refusal(self, said: Mapping[str, Any], status: int) -> flask.Response:
        return flask.jsonify({"error": said})

    def listed(
        self, name: str, items: Sequence[Any], about: Mapping[str, Any] = NOTHING, **more: Any
    ) -> flask.Response:
        """A list, or one page of it: `next_…` is what the parameter of that name is to be for the next one."""
        return flask.jsonify({**about, name: items, **more})

    def reply(self, replied: Replied[Reply]) -> flask.Response:
        """What was asked for, or the ticket of it."""
        value = replied.value
        response = self._ticket(value) if isinstance(value, Ticket) else flask.jsonify(self.answer(value))
        response = self._by(response, value.served)
        if replied.found:
            response.headers["X-Cache"] = replied.found
        return once.replayed(response) if replied.again else response

    def answer(self, value: Answer | Answers) -> dict[str, Any]:
        """What was said to one input or to several, and who said it."""
        if isinstance(value, Answer):
            body = self.told(value.said, value.explain)
        else:
            failed = sum(isinstance(item, Fault) for item in value.said)
            body = {**self.told(Several(value.said), value.explain), "count": len(value.said), "failed": failed}
        return {**body, **self.served(value.served), "request_id": value.request_id}

    def told(self, result: Result | Fault, explain: str) -> dict[str, Any]:
        """What is shown of a result where that level of explanation was asked for."""
        return told.v1(result, explain)

    def served(self, by: Served) -> dict[str, Any]:
        """Which version of which model it is."""
        return {"model": by.model, "model_version": by.version}

    def _by(self, response: flask.Response, served: Served) -> flask.Response:
        response.headers["X-Model-Version"] = served.version
        response.headers["X-Model-Route"] = served.route
        return self.ending(response, served.model, served.version)

    def ending(self, response: flask.Response, model: str, version: str) -> flask.Response:
        """With what is to be said of a version that is deprecated (RFC 9745, RFC 8594)."""
        if ends := resources.here().catalog.deprecation(model, version):
            response.headers["Deprecation"] = f"@{int(ends.at.timestamp())}"
            if ends.sunset_at:
                response.headers["Sunset"] = http_date(ends.sunset_at)
        return response

    def ticket(self, of: Ticket, leads_to: Mapping[str, str]) -> dict[str, Any]:
        """A job that was handed in, and where to go on."""
        about = {"job_id": ids.job_id(of.job_id), "status": of.status, **self.served(of.served)}
        return {**about, "links": leads_to, "request_id": of.request_id}

    def _ticket(self, of: Ticket) -> flask.Response:
        """The 202."""
        leads_to = job_links.to(ids.job_id(of.job_id), "show", "events", "cancel")
        response = flask.jsonify(self.ticket(of, leads_to))
        response.status_code = 202
        response.headers["Location"] = leads_to["self"]
        response.headers["Retry-After"] = RETRY_AFTER_S
        if of.applied:
            response.headers["Preference-Applied"] = of.applied
        return response

    def parts(self, found: Job, done: Iterable[Done], more: int | None) -> flask.Response:
        """What is done of a file, and behind which part there may be more."""
        shown = addresses.parts(found, done)
        return self.listed("parts", shown, next_after=more, expires_at=addresses.expires_at())

    def job(self, found: Job) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "job_id": ids.job_id(found.id),
            "status": found.status,
            "progress": found.progress,
            **self.served(Served(found.model, found.version, found.route or "")),
            "priority": found.priority,
            "attempt": found.attempt,
            "lost_count": found.lost_count,
            "timeout_s": found.timeout_s,
            "cancel_requested": found.cancel_requested,
            "metadata": found.metadata,
            "created_at": found.created_at,
            "started_at": found.started_at,
            "finished_at": found.finished_at,
            "expires_at": found.expires_at,
            "links": job_links.of(found),
        }
        if found.retry_of is not None:
            answer["retry_of"] = ids.job_id(found.retry_of)
        if found.result is not None:
            answer["result"] = self.result(found)
        if found.error is not None:
            answer["error" if found.status.is_terminal else "last_error"] = found.error
        return answer

    def detail(self, seen: Detail) -> flask.Response:
        """A job with all that there is to say of it; to a GET only if it has changed since it was seen last, or has
        addresses of files."""
        found = seen.job
        body = {**self.job(found), "timeline": timeline(found)}
        if seen.rows is not None:
            body["rows"] = dataclasses.asdict(seen.rows)
        retry_after_s = 1
        if seen.place is not None:
            body["queue"] = dataclasses.asdict(seen.place)
            retry_after_s = min(MAX_RETRY_AFTER_S, max(1, math.ceil(seen.place.starts_in_s or 1)))
        response = flask.jsonify(body)
        if not found.status.is_terminal:
            response.headers["Retry-After"] = str(retry_after_s)
        rows = "" if seen.rows is None else f"-{seen.rows.done}-{seen.rows.failed}"
        # Weak: where it stands in the queue may differ, what happened to it does not.
        response.set_etag(self.tag(found) + rows, weak=True)
        # Addresses of files end, and are others each time.
        if flask.request.method == "GET" and not isinstance(found.result, Rows | Stored | WithFiles):
            response.make_conditional(flask.request)
        return response

    def tag(self, found: Job) -> str:
        """What changes when what is shown of a job does."""
        return f"{found.status}-{found.attempt}-{found.progress}-{found.cancel_requested:d}"

    def outcome(self, found: Job) -> flask.Response:
        """A completed job's result, or the way to it; raises JobStateConflict while there is none."""
        if found.status is not Status.COMPLETED:
            raise errors.JobStateConflict(
                f"A job that is {found.status} has no result",
                details={"field": "status", "issue": f"is {found.status}"},
            )
        answer = self.result(found)
        url = answer.get({Rows: "output_url", Stored: "url"}.get(type(found.result), ""))
        return flask.redirect(url, 303) if url else flask.jsonify(answer)  # type: ignore[return-value]

    def result(self, found: Job) -> dict[str, Any]:
        """A completed job's result: what was said to its inputs, or where its files are."""
        match found.result:
            case None:
                return {}
            case Rows():
                return addresses.output(found, found.result)
            case Stored():
                return addresses.stored(found, found.result)
            case WithFiles():
                return addresses.with_files(found, found.result)
            case said:
                return self.told(said, str(found.options.get("explain", "")))

    def model(self, versions: Sequence[Version]) -> dict[str, Any]:
        """A model, by all of its versions."""
        return present_models.model(versions)

    def model_in_full(self, versions: Sequence[Version]) -> dict[str, Any]:
        """The same, with what its stable version takes and answers, and a request that it answers."""
        return {**self.model(versions), **present_models.to_try(versions)}

    def version(self, item: Version) -> flask.Response:
        """All that there is to know of one version of a model."""
        return flask.jsonify(present_models.version(item))


def here() -> V1:
    """The version of the API that answers this request."""
    return cast(V1, editions.here())


def timeline(found: Job) -> list[dict[str, Any]]:
    """From acceptance to the end, without the steps of progress."""
    first = {"event": Status.PENDING, "at": found.created_at}
    rest = [{name: value for name, value in item.items() if value is not None} for item in found.timeline or ()]
    return [first, *rest]
