"""What v2 shows in another way than v1: all scores, which version it was and why, how long it took, where to go on, one
shape of all lists, and errors as problem details (RFC 9457)."""

from __future__ import annotations

import dataclasses
import http
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import flask

from api import errors as answered
from api import links, resources
from api.v1 import present_models
from api.v1.present import NOTHING, V1
from core import errors
from inference.output import Label, Tags
from jobs.job import Job, Timing
from jobs.result import Fault, Result, Several
from registry.versions import Version
from serving.values import Answer, Answers, Served

PROBLEM = "application/problem+json"
#: Where the contract describes kinds of problems, by their codes.
PLACE = "x-problems"


def titles() -> dict[str, str]:
    """Each code of an error in words: those of the first kind that has it, or of HTTP."""
    found: dict[str, str] = {}
    for kind in errors.tree():
        found.setdefault(kind.code, " ".join((kind.__doc__ or "").split()))
    for status, code in answered.CODES.items():
        found.setdefault(code, http.HTTPStatus(status).phrase)
    return found


_TITLES = titles()


class V2(V1):
    """Version 2 of the API."""

    name = "v2"
    namespace = "v2."
    minds_accept = True

    def refusal(self, said: Mapping[str, Any], status: int) -> flask.Response:
        rest = dict(said)
        code, detail, details = rest.pop("code"), rest.pop("message"), rest.pop("details", {})
        faults = rest.pop("errors", [details] if {"field", "issue"} <= details.keys() else [])
        problem = {
            "type": f"/openapi/{self.name}.json#/{PLACE}/{code}",
            "title": _TITLES.get(code, http.HTTPStatus(status).phrase),
            "status": status,
            "detail": detail,
            "instance": f"#{said['request_id']}",
            "code": code,
        }
        if faults:
            problem["errors"] = faults
        elif details:
            problem["details"] = details
        response = flask.jsonify({**problem, **rest})
        response.mimetype = PROBLEM
        return response

    def listed(
        self, name: str, items: Sequence[Any], about: Mapping[str, Any] = NOTHING, **more: Any
    ) -> flask.Response:
        asked = flask.request.args.to_dict()
        following = {key.removeprefix("next_"): value for key, value in more.items() if key.startswith("next_")}
        last = None in following.values() or not following
        leads_to = {"self": _address(asked), "next": None if last else _address({**asked, **following})}
        return flask.jsonify({**about, "items": items, **more, "links": leads_to})

    def answer(self, value: Answer | Answers) -> dict[str, Any]:
        return {**super().answer(value), "timing": value.timing and _timing(value.timing)}

    def told(self, result: Result | Fault, explain: str) -> dict[str, Any]:
        match result:
            case Several():
                return {"predictions": [self.told(item, explain) for item in result.items]}
            case Label() | Tags():
                return {**super().told(result, explain), "scores": result.scores}
            case _:
                return super().told(result, explain)

    def served(self, by: Served) -> dict[str, Any]:
        listed = resources.here().catalog.listed(by.model, by.version)
        about = {"name": by.model, "version": by.version, "route": by.route or None}
        leads_to = _leads_to(by.model, by.version)
        return {"model": {**about, "digest": listed and listed.digest, "links": leads_to}}

    def ending(self, response: flask.Response, model: str, version: str) -> flask.Response:
        super().ending(response, model, version)
        if "Deprecation" in response.headers:
            stable = present_models.stable_of(resources.here().catalog.model(model)).version
            if stable != version:
                old, new = (_leads_to(model, item)["self"] for item in (version, stable))
                response.headers.add("Link", f'<{new}>; rel="successor-version"; anchor="{old}"')
        return response

    def job(self, found: Job) -> dict[str, Any]:
        return {**super().job(found), "timing": _timing(found.timing)}

    def tag(self, found: Job) -> str:
        # An address that names no version has v1's answers as well.
        return f"{self.name}-{super().tag(found)}"

    def model(self, versions: Sequence[Version]) -> dict[str, Any]:
        return {**super().model(versions), "versions": [_in_short(item) for item in versions]}

    def version(self, item: Version) -> flask.Response:
        shown = present_models.version(item)
        for name in ("deprecated", "deprecated_at", "deprecation", "sunset_at"):
            shown.pop(name, None)
        ends = None if item.deprecation is None else dataclasses.asdict(item.deprecation)
        body = {**shown, "deprecation": ends, "links": _leads_to(item.model, item.version)}
        return self.ending(flask.jsonify(body), item.model, item.version)


def _timing(took: Timing) -> dict[str, float | None]:
    """To the microsecond."""
    return {name: None if ms is None else round(ms, 3) for name, ms in dataclasses.asdict(took).items()}


def _address(asked: Mapping[str, Any]) -> str:
    query = urllib.parse.urlencode(asked)
    return f"{flask.request.path}?{query}" if query else flask.request.path


def _leads_to(model: str, version: str) -> dict[str, str]:
    return {
        "self": links.to("models.show_version", name=model, version=version),
        "model": links.to("models.show_model", name=model),
    }


def _in_short(item: Version) -> dict[str, Any]:
    return {
        "version": item.version,
        "stable": item.stable,
        "deprecated": item.deprecation is not None,
        "digest": item.digest,
        "links": {"self": _leads_to(item.model, item.version)["self"]},
    }
