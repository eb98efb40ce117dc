"""Clients that ask for predictions at once, and hand in jobs without a key, by the lane and past it; and what they were
told and charged."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import requests
import sqlalchemy
from sqlalchemy import text

from tests.chaos.load import Ledger, Promise
from tests.chaos.truth import Inputs, Truth

VERSIONS = ("sentiment/1.0.0", "sentiment/2.1.0", "tumor/1.0.0")
PACE_S = 0.05
#: Of what is asked, so many are jobs.
JOBS = 0.1
_CHARGED = text("""
SELECT coalesce(sum(calls), 0) FROM (
  SELECT calls FROM usage_days WHERE kind = 'inline'
  UNION ALL
  SELECT calls FROM usage WHERE kind = 'inline' AND xact >= coalesce((SELECT xact FROM usage_mark), 0)
) AS used
""")


class Asker(threading.Thread):
    """Asks one thing after the other, each once: who is not answered does not know what became of it. A ticket is a
    promise as any other."""

    def __init__(self, url: str, key: str, truth: Truth, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True)
        self.told: Counter[str] = Counter()  #: answered, refused, unknown
        self.surprises: list[str] = []
        self._url = f"{url}/api/v1"
        self._ledger = ledger
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {key}"
        self._truth = truth
        self._random = random.Random(seed)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._random.expovariate(1 / PACE_S)):
            if self._random.random() < JOBS:
                self._hand_in()
            else:
                self.told[self._ask()] += 1

    def stop(self) -> None:
        self._stopping.set()

    def _ask(self) -> str:
        version, asked = self._drawn()
        found = self._posted("predict", version, asked, (200, 202))
        if found and "job_id" in found:
            # Of a model that takes a job, which was waited for in vain.
            return self._promised(found, version, asked)
        if found and not self._truth.agrees(version, [asked], [found]):
            self.surprises.append(f"{asked} was answered {found}")
        return "unknown" if found is None else "answered" if found else "refused"

    def _hand_in(self) -> None:
        version, asked = self._drawn()
        if found := self._posted("jobs", version, asked, (202,)):
            self._promised(found, version, asked)

    def _promised(self, ticket: Mapping[str, Any], version: str, asked: Inputs) -> str:
        promise = Promise(ticket["job_id"], [asked], version, job_id=ticket["job_id"])
        with self._ledger.lock:
            self._ledger.promises.append(promise)
        return "promised"

    def _drawn(self) -> tuple[str, Inputs]:
        version = self._random.choice(VERSIONS)
        return version, self._random.choice(self._truth.inputs[version])

    def _posted(self, path: str, version: str, asked: Inputs, good: Sequence[int]) -> dict[str, Any] | None:
        """What was said, nothing where that was a refusal, None where it was not answered."""
        model, _, number = version.partition("/")
        body: dict[str, Any] = {"model": model, "model_version": number, "inputs": asked}
        try:
            answer = self._http.post(f"{self._url}/{path}", json=body, timeout=15)
            found: dict[str, Any] = answer.json()
        except (requests.RequestException, json.JSONDecodeError):
            return None
        if answer.status_code not in (*good, 503):
            self.surprises.append(f"{asked}: {answer.status_code} {answer.text[:300]}")
        return found if answer.status_code in good else {}


def faults(admin: sqlalchemy.Engine, askers: list[Asker], kills: int) -> list[str]:
    """What was answered wrongly, and more charged than asked and not refused: but for what a killed process had been
    charged for and not yet said, and was asked of another one."""
    found = [surprise for asker in askers for surprise in asker.surprises]
    told = sum((asker.told for asker in askers), Counter[str]())
    with admin.connect() as connection:
        charged = int(connection.execute(_CHARGED).scalar_one())
    most = told["answered"] + told["unknown"] + kills
    if charged > most:
        found.append(f"{charged} predictions at once were charged, of {most} that may have been answered")
    if askers and not told["answered"]:
        found.append("no prediction was ever answered at once")
    return found
