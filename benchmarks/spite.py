"""A caller who sends a thousand bad requests a second, by turns: bodies that are none, keys that open nothing, routes
that are not there. In a process of its own, from an address of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

PER_SECOND, CONNECTIONS = 1000, 32
ADDRESS = "127.0.0.2"


def requests(key: str) -> Iterator[bytes]:
    """Without end."""
    json = "Content-Type: application/json\r\n"
    while True:
        yield _request("POST", "/api/v1/predict", key, '{"inputs": 7, "what": []}', json)
        yield _request("POST", "/api/v1/predict", f"cck_{secrets.token_hex(6)}_{secrets.token_hex(28)}", "{}", json)
        yield _request("GET", f"/api/v1/{secrets.token_hex(4)}", key)
        yield _request("POST", "/api/v1/jobs", key, "{", json)


def _request(method: str, path: str, key: str, body: str = "", more: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@contextlib.contextmanager
def sent(port: int, key: str, told: Counter[int]) -> Iterator[None]:
    """Meanwhile; `told` gets the statuses of the answers."""
    spawn = multiprocessing.get_context("spawn")
    ended, queue = spawn.Event(), spawn.Queue()
    process = spawn.Process(target=_send, args=(port, key, ended, queue))
    process.start()
    queue.get()
    try:
        yield
    finally:
        ended.set()
        told.update(queue.get())
        process.join()


def _send(port: int, key: str, ended: Any, queue: Any) -> None:
    """Each connection in its turn, and its last answer is read before its next request."""
    told, made, held = Counter[int](), requests(key), dict[int, socket.socket]()
    queue.put("begun")
    due = time.perf_counter()
    for number in range(10**9):
        if ended.is_set():
            break
        due = max(due + 1 / PER_SECOND, time.perf_counter() - 0.1)
        time.sleep(max(0.0, due - time.perf_counter()))
        place = number % CONNECTIONS
        try:
            if place in held:
                told[int(held[place].recv(65_536)[9:12] or 0)] += 1
            else:
                held[place] = socket.create_connection(("127.0.0.1", port), 5, (ADDRESS, 0))
            held[place].sendall(next(made))
        except (OSError, ValueError):
            told[0] += 1
            held.pop(place).close()
    queue.put(told)
