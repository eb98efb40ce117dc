"""The outputs of bulk jobs, as their client downloads them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import orjson
import requests

from tests.chaos.load import FILE_ROWS, TEXTS, Ledger


def faults(url: str, key: str, ledger: Ledger, expected: Mapping[tuple[str, str], str]) -> list[str]:
    """Every row once, in order, with what the model says; or, of a chunk that lost three workers, with that."""
    found = []
    http = requests.Session()
    http.headers["Authorization"] = f"Bearer {key}"
    for promise in ledger.accepted():
        if (
            not promise.of_file
            or http.get(f"{url}/api/v1/jobs/{promise.job_id}", timeout=15).json()["status"] != "completed"
        ):
            continue
        at = http.get(f"{url}/api/v1/jobs/{promise.job_id}/result", allow_redirects=False, timeout=15).headers[
            "Location"
        ]
        lines = [orjson.loads(line) for line in requests.get(at, timeout=60).content.splitlines()]
        wanted = [expected[promise.version, text] for _, text in zip(range(FILE_ROWS), cycle(TEXTS), strict=False)]
        said = [line.get("prediction") or line["error"]["code"] for line in lines]
        good = [line["line"] for line in lines] == list(range(1, FILE_ROWS + 1)) and all(
            one in (other, "WORKER_LOST") for one, other in zip(said, wanted, strict=True)
        )
        found += [] if good else [f"{promise.job_id}: its output is wrong"]
    return found
