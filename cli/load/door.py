"""One request and its answer, without a second try: a load test counts what comes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli import connection
from cli.failures import Failure
from cli.remote import API, Remote, retry_after

#: Statuses by which a platform that has too much to do says so.
FULL = (429, 503)


@dataclass(frozen=True)
class Answer:
    """What came back; `code` is None where it was no error, and status 0 where nothing came."""

    status: int
    code: str | None
    found: Mapping[str, Any]
    pause_s: float = 0.0

    @property
    def refused(self) -> bool:
        """Whether it says when to come again, as who has too much to do should."""
        return self.status in FULL and self.pause_s > 0


class Door:
    """The API, for many threads at once."""

    def __init__(self, remote: Remote, most: int) -> None:
        self._url = f"{remote.url}{API}"
        self._shown = remote.url
        self._key = remote.key
        self._http = connection.pool(remote.url, kept=most)

    def post(self, path: str, body: Mapping[str, Any] | bytes, *, key: str | None = None) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._call("POST", path, data, key or self._key)

    def get(self, path: str) -> Answer:
        return self._call("GET", path, None, self._key)

    def events(self, path: str) -> Iterator[str]:
        """The names of a stream's events, as they come; raises Failure for what is no stream."""
        with (
            connection.reached(self._shown),
            self._http.request(
                "GET", self._url + path, headers=self._headers(self._key), redirect=False, preload_content=False
            ) as answer,
        ):
            if answer.status != 200:
                code = _code(answer.status, _json(answer.read()))
                full = answer.status in FULL
                raise Failure(f"the stream is answered {answer.status}", code=code or "NO_STREAM", retryable=full)
            rest = b""
            for piece in answer.stream(4096):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (
                    line.removeprefix(b"event:").strip().decode(errors="replace")
                    for line in lines
                    if line.startswith(b"event:")
                )

    def _call(self, method: str, path: str, data: bytes | None, key: str) -> Answer:
        try:
            with connection.reached(self._shown):
                answer = self._http.request(
                    method, self._url + path, body=data, headers=self._headers(key), redirect=False
                )
        except Failure as error:
            return Answer(0, error.code, {})
        found = _json(answer.data)
        return Answer(answer.status, _code(answer.status, found), found, retry_after(answer))

    def _headers(self, key: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {key}", "User-Agent": "coatcheck-load", "Content-Type": "application/json"
        }  # fmt: skip


def _json(data: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _code(status: int, found: Mapping[str, Any]) -> str | None:
    """Of an error, its own code, or its status where it is none of Coatcheck's."""
    if 200 <= status < 300:
        return None if found else "NOT_COATCHECK"
    error = found.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) else f"HTTP_{status}"
