"""The platform as a client of its HTTP API sees it."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import click
import urllib3

API = "/api/v1"
PIECE = 256 * 1024
TIMEOUT = urllib3.Timeout(connect=5, read=60)


class Remote:
    """Calls with the address and the key from the environment; says what is wrong in one sentence."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._key = key
        # Safe for POST as well: every one carries an Idempotency-Key.
        again = urllib3.Retry(5, backoff_factor=0.5, status_forcelist=(502, 503), allowed_methods=None, redirect=False)
        self._http = urllib3.PoolManager(timeout=TIMEOUT, retries=again)

    @classmethod
    def from_environment(cls) -> Remote:
        """Raises UsageError that says where the two come from."""
        url, key = os.environ.get("COATCHECK_URL"), os.environ.get("COATCHECK_API_KEY")
        if not url or not key:
            raise click.UsageError("Set COATCHECK_URL and COATCHECK_API_KEY (here: `. .coatcheck/env`)")
        if not url.startswith(("http://", "https://")):
            raise click.UsageError("COATCHECK_URL must begin with http:// or https://")
        return cls(url, key)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._call("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._call("POST", path, body=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def send(
        self, url: str, fields: Mapping[str, str], file: IO[bytes], size: int, sent: Callable[[int], None]
    ) -> None:
        """POST a form with a file as its last field, without holding it; `sent` hears of every piece."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n')
        head, tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        body = _form(head, _exactly(file, size), tail, sent)
        with _reached("The store"):
            answer = urllib3.PoolManager(retries=False, timeout=TIMEOUT).request(
                "POST", url, body=body, headers=headers
            )
        if answer.status >= 300:
            raise click.ClickException(f"The store did not take the file: {answer.status} {answer.data[:300].decode()}")

    def download(self, url: str, path: Path) -> None:
        """Save what is at a signed address: a file whole or not at all, anything else as it comes."""
        plain = path.is_file() or not path.exists()
        scratch = path.with_name(path.name + ".part") if plain else path
        with (
            _reached("The store"),
            self._http.request("GET", url, preload_content=False) as answer,
            scratch.open("wb") as file,
        ):
            if answer.status != 200:
                raise click.ClickException(f"The store did not give {path.name}: {answer.status}")
            for piece in answer.stream(PIECE):
                file.write(piece)
        if plain:
            scratch.replace(path)

    def fetch(self, url: str) -> dict[str, Any]:
        """The JSON at a signed address."""
        with _reached("The store"):
            answer = self._http.request("GET", url)
        if answer.status != 200:
            raise click.ClickException(f"The store did not give the result: {answer.status}")
        found: dict[str, Any] = answer.json()
        return found

    def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, headers: Any = None
    ) -> dict[str, Any]:
        asked = {"Authorization": f"Bearer {self._key}", **(headers or {})}
        try:
            with _reached(self._url):
                answer = self._http.request(
                    method, f"{self._url}{API}{path}", fields=query, headers=asked, **({"json": body} if body else {})
                )
        except ValueError as error:
            raise click.ClickException(f"COATCHECK_API_KEY or COATCHECK_URL is damaged: {error}") from error
        try:
            found: dict[str, Any] = json.loads(answer.data)
        except ValueError as error:
            raise click.ClickException(f"{self._url} is not Coatcheck: it answers {answer.status}") from error
        if answer.status >= 400:
            raise click.ClickException(sentence(found["error"]))
        return found


@contextlib.contextmanager
def _reached(what: str) -> Iterator[None]:
    """Who does not answer is named in a sentence."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        why = getattr(error, "reason", None) or error
        raise click.ClickException(f"{what} does not answer: {type(why).__name__}") from error


def _form(head: bytes, pieces: Iterator[bytes], tail: bytes, sent: Callable[[int], None]) -> Iterator[bytes]:
    yield head
    for piece in pieces:
        yield piece
        sent(len(piece))
    yield tail


def _exactly(file: IO[bytes], size: int) -> Iterator[bytes]:
    """A file that was announced with this size; raises ClickException."""
    while piece := file.read(PIECE):
        size -= len(piece)
        if size < 0:
            break
        yield piece
    if size:
        raise click.ClickException(f"{file.name} was changed while it was sent")


def sentence(error: Mapping[str, Any]) -> str:
    details = error.get("details") or {}
    about = f": {details['field']} {details.get('issue', '')}" if "field" in details else ""
    return f"{error['message']}{about} ({error['code']})"
