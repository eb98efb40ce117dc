"""Clients that ask for predictions at once, by the lane and past it, and what they were told and charged."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from typing import Any

import requests
import sqlalchemy
from sqlalchemy import text

from tests.chaos.truth import Truth

VERSIONS = ("sentiment/1.0.0", "sentiment/2.1.0", "tumor/1.0.0")
PACE_S = 0.05
_CHARGED = text("""
SELECT coalesce(sum(calls), 0) FROM (
  SELECT calls FROM usage_days WHERE kind = 'inline'
  UNION ALL
  SELECT calls FROM usage WHERE kind = 'inline' AND xact >= coalesce((SELECT xact FROM usage_mark), 0)
) AS used
""")


class Asker(threading.Thread):
    """Asks one thing after the other, each once: who is not answered does not know what became of it."""

    def __init__(self, url: str, key: str, truth: Truth, seed: int) -> None:
        super().__init__(daemon=True)
        self.told: Counter[str] = Counter()  #: answered, refused, unknown
        self.surprises: list[str] = []
        self._url = f"{url}/api/v1/predict"
        self._http = requests.Session()
        self._http.headers["Authorization"] = f"Bearer {key}"
        self._truth = truth
        self._random = random.Random(seed)
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._random.expovariate(1 / PACE_S)):
            self.told[self._ask()] += 1

    def stop(self) -> None:
        self._stopping.set()

    def _ask(self) -> str:
        version = self._random.choice(VERSIONS)
        model, _, number = version.partition("/")
        asked = self._random.choice(self._truth.inputs[version])
        try:
            body: dict[str, Any] = {"model": model, "model_version": number, "inputs": asked}
            answer = self._http.post(self._url, json=body, timeout=15)
            found = answer.json()
        except (requests.RequestException, json.JSONDecodeError):
            return "unknown"
        if answer.status_code == 200 and not self._truth.agrees(version, [asked], [found]):
            self.surprises.append(f"{asked} was answered {found}")
        if answer.status_code not in (200, 503):
            self.surprises.append(f"{asked}: {answer.status_code} {answer.text[:300]}")
        return "answered" if answer.status_code == 200 else "refused"


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
