"""The platform as a client of its HTTP API sees it."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click
import urllib3
from urllib3.util import parse_url

from cli import connection
from cli.failures import Failure
from cli.output import say
from cli.words import sentence
from core import errors

API = "/api/v1"
#: How long to try again, unless told otherwise, where no answer or one that may change comes.
PATIENCE_S = 8.0
AGAIN = (429, 502, 503, 504)


class Remote:
    """Calls with the address and the key from the environment; raises Failure, in one sentence."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self._http = connection.pool(url)

    @classmethod
    def from_environment(cls) -> Remote:
        """Raises UsageError that says what is wrong with the two, without quoting either."""
        url, key = (os.environ.get(name, "").strip() for name in ("COATCHECK_URL", "COATCHECK_API_KEY"))
        missing = [name for name, value in (("COATCHECK_URL", url), ("COATCHECK_API_KEY", key)) if not value]
        if missing:
            said = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
            raise click.UsageError(f"{said}: in a checkout, `. .coatcheck/env` sets both")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise click.UsageError("COATCHECK_API_KEY is damaged: a key is letters, digits and _ alone")
        _check_address(url)
        return cls(url, key)

    def get(
        self, path: str, *wanted: str, query: Mapping[str, str] | None = None, patience_s: float | None = None
    ) -> dict[str, Any]:
        """An answer that has these fields."""
        return self._call("GET", path, wanted, query=query, patience_s=patience_s)

    def post(self, path: str, *wanted: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Safe to repeat, and repeated: it carries an Idempotency-Key."""
        return self._call("POST", path, wanted, body=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def _call(
        self,
        method: str,
        path: str,
        wanted: tuple[str, ...],
        *,
        patience_s: float | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        url, ends_at = f"{self.url}{API}{path}", time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
        asked = {"Authorization": f"Bearer {self.key}", "User-Agent": "coatcheck", **(headers or {})}
        if body is not None:
            asked["Content-Type"] = "application/json"
        # As ASCII: what is no text is told by the platform, and has no other encoding.
        content = {"body": json.dumps(body)} if body is not None else {}
        for pause in _pauses():
            try:
                with connection.reached(self.url):
                    answer = self._http.request(method, url, fields=query, headers=asked, redirect=False, **content)
                if answer.status not in AGAIN:
                    return self._understood(answer, wanted)
                wait = max(pause, retry_after(answer))
                if time.monotonic() + wait > ends_at:
                    return self._understood(answer, wanted)
                said = f"{self.url} answers {answer.status}"
            except Failure as error:
                wait = pause
                if error.code != "UNREACHABLE" or not error.retryable or time.monotonic() + wait > ends_at:
                    raise
                said = error.message
            say(f"{said}; trying again in {wait:g} s")
            time.sleep(wait)
        raise AssertionError("there is always another pause")

    def _understood(self, answer: urllib3.BaseHTTPResponse, wanted: tuple[str, ...]) -> dict[str, Any]:
        """What Coatcheck says; raises Failure for an error of its, and for what is not from Coatcheck."""
        try:
            found = json.loads(answer.data)
        except ValueError:
            found = None
        error = found.get("error") if isinstance(found, dict) else None
        if answer.status >= 400 and isinstance(error, dict) and {"code", "message"} <= error.keys():
            raise _refusal(error, answer)
        if answer.status >= 300 or not isinstance(found, dict) or not found.keys() >= set(wanted):
            raise Failure(
                f"{self.url} (COATCHECK_URL) does not answer as Coatcheck does: {_described(answer)}",
                code="NOT_COATCHECK",
                retryable=answer.status in AGAIN,
            )
        return found


def part(name: str) -> str:
    """A name as one part of a path; raises UsageError for one that would lead elsewhere."""
    if "/" in name or name in (".", ".."):
        raise click.UsageError(f"{name!r} can be no name: it would lead elsewhere")
    return quote(name, safe="")


def _check_address(url: str) -> None:
    try:
        parts = parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.host:
        raise click.UsageError("COATCHECK_URL must be an address such as http://127.0.0.1:8000 or https://host")
    if parts.auth or parts.query is not None or parts.fragment is not None:
        raise click.UsageError("COATCHECK_URL must be without a user, a ? and a #")
    if (parts.path or "").rstrip("/").endswith(API):
        raise click.UsageError(f"COATCHECK_URL must be without {API}, which is added to it")


def _pauses() -> Iterator[float]:
    """Seconds between tries, ever longer."""
    pause = 0.5
    while True:
        yield pause
        pause = min(2 * pause, 5.0)


def retry_after(answer: urllib3.BaseHTTPResponse) -> float:
    """Seconds after which to come again, as the answer says; 0 where it does not."""
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 10 else 0.0


def _refusal(error: Mapping[str, Any], answer: urllib3.BaseHTTPResponse) -> Failure:
    """An error as the API tells it."""
    facts, faults = error.get("details"), error.get("errors")
    details = facts if isinstance(facts, dict) else {}
    said = sentence(
        str(error["message"]),
        details,
        [item for item in faults if isinstance(item, dict)] if isinstance(faults, list) else (),
        int(error.get("more") or 0),
    )
    if error["code"] == errors.NotFound.code:
        said = "There is no such route: is the path of COATCHECK_URL right?"
    if answer.status == 401:
        said += ": COATCHECK_API_KEY opens nothing there"
    if answer.status in AGAIN and (pause := retry_after(answer)):
        said += f"; try again in {pause:g} s"
    more = {name: error[name] for name in ("request_id",) if error.get(name)}
    return Failure(
        f"{said} ({error['code']})",
        code=str(error["code"]),
        details={**details, **more},
        retryable=answer.status in AGAIN,
    )


def _described(answer: urllib3.BaseHTTPResponse) -> str:
    """Its status, and what it is, or where it leads."""
    if where := answer.headers.get("Location"):
        return f"it answers {answer.status} and leads to {connection.origin(where) or where[:200]}"
    kind = answer.headers.get("Content-Type", "no content type").split(";")[0]
    hint = "; should the address begin with https://?" if b"HTTPS port" in answer.data[:2000] else ""
    return f"it answers {answer.status} with {kind}{hint}"
