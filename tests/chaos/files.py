"""The outputs of bulk jobs, as their client downloads them."""

from __future__ import annotations

from itertools import cycle

import orjson
import requests

from tests.chaos.load import FILE_ROWS, Ledger
from tests.chaos.truth import TEXTS, Truth


def faults(url: str, key: str, ledger: Ledger, truth: Truth) -> list[str]:
    """Every row once, in order, with what the model says; or, of a chunk that lost three workers, with that."""
    http = requests.Session()
    http.headers["Authorization"] = f"Bearer {key}"
    rows = [{"text": text} for _, text in zip(range(FILE_ROWS), cycle(TEXTS), strict=False)]
    found = []
    for promise in ledger.accepted():
        at = f"{url}/api/v1/jobs/{promise.job_id}"
        if not promise.of_file or http.get(at, timeout=15).json()["status"] != "completed":
            continue
        place = http.get(f"{at}/result", allow_redirects=False, timeout=15).headers["Location"]
        lines = [orjson.loads(line) for line in requests.get(place, timeout=60).content.splitlines()]
        good = [line["line"] for line in lines] == list(range(1, FILE_ROWS + 1)) and all(
            line.get("error", {}).get("code") == "WORKER_LOST" or truth.agrees(promise.version, [row], [line])
            for line, row in zip(lines, rows, strict=True)
        )
        found += [] if good else [f"{promise.job_id}: its output is wrong"]
    return found
