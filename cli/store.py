"""Files to and from the object store, by the signed addresses that the API gives."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import urllib3

from cli import connection
from cli.failures import Failure

PIECE = 256 * 1024


def send(
    url: str, fields: Mapping[str, str], file: IO[bytes], size: int, *, name: str, sent: Callable[[int], None]
) -> None:
    """POST a form with a file as its last field, without holding it; `sent` hears of every piece."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields.items()
    ]
    parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n\r\n')
    head, tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + size + len(tail)),
    }
    body = _form(head, _exactly(file, size, name), tail, sent)
    with connection.reached(_the_store(url)):
        answer = connection.pool(url).request("POST", url, body=body, headers=headers, redirect=False)
    if answer.status >= 300:
        raise _refusal(url, "take the file", answer)


def pieces(url: str) -> Iterator[bytes]:
    """What is at a signed address, as it comes."""
    with (
        connection.reached(_the_store(url)),
        connection.pool(url).request("GET", url, preload_content=False, redirect=False) as answer,
    ):
        if answer.status != 200:
            raise _refusal(url, "give the file", answer)
        yield from answer.stream(PIECE)


def fetch(url: str) -> Any:
    """The JSON at a signed address."""
    return json.loads(b"".join(pieces(url)))


def _the_store(url: str) -> str:
    return f"The object store ({connection.origin(url)})"


def _refusal(url: str, what: str, answer: urllib3.BaseHTTPResponse) -> Failure:
    text = answer.data[:300].decode(errors="replace")
    return Failure(f"{_the_store(url)} does not {what}: {answer.status} {text}", code="STORE_REFUSED")


def _form(head: bytes, content: Iterator[bytes], tail: bytes, sent: Callable[[int], None]) -> Iterator[bytes]:
    yield head
    for piece in content:
        yield piece
        sent(len(piece))
    yield tail


def _exactly(file: IO[bytes], size: int, name: str) -> Iterator[bytes]:
    """A file that was announced with this size; raises Failure."""
    while piece := file.read(PIECE):
        size -= len(piece)
        if size < 0:
            break
        yield piece
    if size:
        raise Failure(f"{name} was changed while it was sent", code="FILE")
