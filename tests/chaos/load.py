"""Clients, and the ledger they keep outside the platform: what was asked, what was promised, what was seen."""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import requests

from tests.chaos.truth import TEXTS, Truth

#: How many inputs of which model version a job has: mostly few, some that keep a worker busy for a while.
SHAPES = (
    (1, "sentiment/1.0.0", 55), (40, "sentiment/1.0.0", 20), (300, "sentiment/1.0.0", 5), (8, "sentiment/2.1.0", 5),
    (1, "tumor/1.0.0", 10), (40, "tumor/1.0.0", 5),
)  # fmt: skip
#: How many promises in a thousand are of a file, and its rows: two chunks.
FILES, FILE_ROWS = 5, 9_000


@dataclass
class Promise:
    """One request under one Idempotency-Key, repeated until it was answered with a ticket."""

    key: str
    inputs: list[dict[str, Any]]
    version: str  #: model/version
    of_file: bool = False  #: FILE_ROWS rows, which are TEXTS over and over
    job_id: str | None = None
    cancel: bool = False
    seen: dict[str, Any] | None = None  #: the terminal state as a client read it


@dataclass
class Ledger:
    promises: list[Promise] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)  #: answers that should never be given
    refused: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def accepted(self) -> list[Promise]:
        with self.lock:
            return [promise for promise in self.promises if promise.job_id]


class Client(threading.Thread):
    """Submits at a steady pace, repeats what was not answered, cancels some, and reads back what it was promised."""

    def __init__(self, url: str, key: str, truth: Truth, ledger: Ledger, seed: int, pace_s: float) -> None:
        super().__init__(daemon=True)
        self._jobs = f"{url}/api/v1/jobs"
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {key}"
        self._truth = truth
        self._ledger = ledger
        self._random = random.Random(seed)
        self._name = f"c{seed}"
        self._pace_s = pace_s
        self._stopping = threading.Event()
        self._open: list[Promise] = []
        self._upload_id = ""

    def run(self) -> None:
        number = 0
        while not self._stopping.wait(self._random.expovariate(1 / self._pace_s)):
            number += 1
            self.submit(self._drawn(number))
            if self._open and self._random.random() < 0.5:
                self._look(self._random.choice(self._open))

    def stop(self) -> None:
        self._stopping.set()

    def _drawn(self, number: int) -> Promise:
        count, version, _ = self._random.choices(SHAPES, [weight for *_, weight in SHAPES])[0]
        promise = self.of(f"{self._name}-{number}", count, version)
        if self._random.randrange(1000) < FILES:
            promise = Promise(promise.key, [], "sentiment/1.0.0", of_file=True)
        promise.cancel = self._random.random() < 0.03
        return promise

    def of(self, key: str, count: int = 1, version: str = "sentiment/1.0.0") -> Promise:
        """So many inputs of this model version."""
        return Promise(key, self._random.choices(self._truth.inputs[version], k=count), version)

    def submit(self, promise: Promise) -> None:
        """Until there is a ticket, or the client is stopped."""
        with self._ledger.lock:
            self._ledger.promises.append(promise)
        model, _, version = promise.version.partition("/")
        body: dict[str, Any] = {
            "inputs": promise.inputs,
            "model": model,
            "model_version": version,
            "metadata": {"key": promise.key},
        }
        if promise.of_file:
            del body["inputs"]
            body["upload_id"] = self._upload()
        while not self._stopping.is_set():
            answer = self._ask("POST", self._jobs, body, {"Idempotency-Key": promise.key})
            if answer is None:
                self._stopping.wait(0.2)
                continue
            job_id = answer["job_id"]
            if promise.job_id not in (None, job_id):
                self._surprise(f"{promise.key}: first {promise.job_id}, then {job_id}")
            again = promise.job_id is None and self._random.random() < 0.1
            promise.job_id = job_id
            self._open.append(promise)
            if promise.cancel:
                self._ask("POST", f"{self._jobs}/{job_id}/cancel", None, {}, also=(409,))
            if not again:
                return

    def _upload(self) -> str:
        """The same file for all of a client's jobs."""
        data = b"".join(
            b'{"text": %s}\n' % json.dumps(text).encode() for _, text in zip(range(FILE_ROWS), cycle(TEXTS))
        )
        while not self._upload_id and not self._stopping.wait(0.2):
            asked = {"content_type": "application/x-ndjson", "size": len(data)}
            if place := self._ask("POST", self._jobs.replace("/jobs", "/uploads"), asked, {}, good=(201,)):
                requests.post(place["url"], data=place["fields"], files={"file": data}, timeout=60).raise_for_status()
                self._upload_id = place["upload_id"]
        return self._upload_id

    def _look(self, promise: Promise) -> None:
        job = self._ask("GET", f"{self._jobs}/{promise.job_id}", None, {})
        if job and job["status"] in ("completed", "failed", "canceled", "expired"):
            promise.seen = {name: job.get(name) for name in ("status", "result", "attempt")}
            self._open.remove(promise)

    def _ask(
        self,
        method: str,
        url: str,
        body: Any,
        headers: dict[str, str],
        also: tuple[int, ...] = (),
        good: tuple[int, ...] = (200, 202),
    ) -> dict[str, Any] | None:
        """The answer, or None for one that a client may meet when something is down."""
        try:
            answer = self._http.request(method, url, json=body, headers=headers, timeout=15)
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, json.JSONDecodeError):
            return None
        if answer.status_code in good:
            return found
        with self._ledger.lock:
            self._ledger.refused += 1
        if answer.status_code not in (503, 409, *also):
            self._surprise(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        return None

    def _surprise(self, text: str) -> None:
        with self._ledger.lock:
            self._ledger.surprises.append(f"{time.strftime('%T')} {text}")
