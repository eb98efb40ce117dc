"""Requests of other shapes than one small input: a batch, a transformer, a job that is asked for, through the proxy
with few and with many connections, beside FastAPI where it can do the same; by turns. And streams: how soon after a
job's end its last event is there. Needs wrk."""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import requests
from rich.console import Console
from rich.progress import track

from access import keys, tiers
from benchmarks import bed, inline, peers
from benchmarks.hot_path import PLENTY
from core import ids
from local import platform_processes
from local.child import Program

ROUNDS, CONNECTIONS = 3, (1, 16, 64)
TEXT = "I love this product, it works perfectly!"
BATCH = [{"text": TEXT}] * 64
MUCH = {**PLENTY, "max_pending": 1_000_000, "max_running": 1_000_000}
#: Clients that hand in a job and read its stream to the end, one after the other.
READERS, STREAMS = 8, 50
LUA = """
wrk.method, wrk.body = "%s", '%s'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
"""


@dataclasses.dataclass(frozen=True)
class Asked:
    """One request, again and again."""

    name: str
    url: str
    script: Path


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    python = peers.python("servers", inline.SERVERS / "requirements.txt")
    with bed.made() as found:
        found.once("models", "push", str(encoder(found.folder)))
        tiers.create(found.parts.engine, "much", like="internal", given=MUCH)
        key = keys.create(found.parts.engine, tenant="bench", name="bench", scopes=keys.CLIENT, tier="much")
        sides: dict[str, list[inline.Side]] = {}
        waits: list[float] = []
        for turn in track(range(ROUNDS), "by turns", console=Console(stderr=True)):
            for name, side in _ours(found, key, waits if turn == ROUNDS - 1 else None):
                sides.setdefault(name, []).append(side)
            for name, side in _theirs(found, python):
                sides.setdefault(name, []).append(side)
    _tell(sides)
    middle, last = statistics.median(waits) * 1000, statistics.quantiles(waits, n=100)[98] * 1000
    print(f"{len(waits)} jobs read as streams by {READERS} clients: the last event {middle:.1f} ms (p50) and", end=" ")
    print(f"{last:.1f} ms (p99) after the job's end")


def encoder(folder: Path) -> Path:
    """The transformer that is shipped, answered at once."""
    made = folder / "encoder"
    shutil.copytree(bed.ROOT / "bundles" / "sentiment-2", made)
    manifest = made / "model.yaml"
    told = manifest.read_text().replace("name: sentiment\n", "name: encoder\n").replace("inline: false", "inline: true")
    manifest.write_text(told)
    return made


def _ours(found: bed.Bed, key: str, waits: list[float] | None) -> Iterator[tuple[str, inline.Side]]:
    env = {**found.env, "COATCHECK_ONNX_THREADS": "1"}
    early, late = platform_processes.programs(found.state, env)
    url = f"http://127.0.0.1:{found.state.ports['api']}/api/v1"
    children = [found.start(program) for program in (*early, late[0])]
    try:
        bed.until(lambda: platform_processes.answers(f"{url.removesuffix('/api/v1')}/ready"))
        client = requests.Session()
        client.headers["Authorization"] = f"Bearer {key}"
        job = _handed_in(client, url)
        client.get(f"{url}/jobs/{job}", params={"wait": 30}).raise_for_status()
        asked = (
            Asked("batch of 64", f"{url}/predict/batch", _script(found, "batch", key, {"inputs": BATCH})),
            Asked(
                "transformer", f"{url}/predict", _script(found, "one", key, {"model": "encoder", "inputs": BATCH[0]})
            ),
            Asked("ended job", f"{url}/jobs/{job}", _script(found, "poll", key, None)),
        )
        yield from _measured("coatcheck", asked)
        if waits is not None:
            _streamed(found, url, key, waits)
    finally:
        for child in children:
            child.stop()


def _theirs(found: bed.Bed, python: Path) -> Iterator[tuple[str, inline.Side]]:
    port = str(found.state.ports["flower"])
    server = ("uvicorn", "benchmarks.servers.by_fastapi:app", "--port", port, "--log-level", "warning")
    child = found.start(Program("other", (str(python), "-m", *server, "--no-access-log"), found.env))
    url = f"http://127.0.0.1:{port}"
    batch, one = (_script(found, f"their-{name}", "", {"inputs": inputs}) for name, inputs in
                  (("batch", BATCH), ("one", BATCH[0])))  # fmt: skip
    try:
        bed.until(lambda: platform_processes.answers(f"{url}/openapi.json"))
        for way in ("loop", "threads"):
            asked = (
                Asked("batch of 64", f"{url}/{way}/batch", batch),
                Asked("transformer", f"{url}/{way}/transformer", one),
            )
            yield from _measured(f"FastAPI, {way}", asked)
    finally:
        child.stop()


def _script(found: bed.Bed, name: str, key: str, body: dict[str, object] | None) -> Path:
    script = found.folder / f"{name}.lua"
    sent = {"model": "sentiment", **body} if body else {}
    method, said = ("POST", orjson.dumps(sent).decode()) if body else ("GET", "")
    script.write_text(LUA % (method, said, key))
    return script


def _measured(side: str, asked: tuple[Asked, ...]) -> Iterator[tuple[str, inline.Side]]:
    for one in asked:
        for connections in CONNECTIONS:
            yield (
                f"{one.name}, {connections:2} connections: {side}",
                inline.measure(one.url, one.script, connections=connections),
            )


def _handed_in(client: requests.Session, url: str) -> str:
    answer = client.post(f"{url}/jobs", json={"model": "sentiment", "inputs": {"text": TEXT}})
    answer.raise_for_status()
    return str(answer.json()["job_id"])


def _streamed(found: bed.Bed, url: str, key: str, waits: list[float]) -> None:
    """How much later than the job ended, by the database's clock, which is this machine's, its stream did."""
    ended: dict[str, float] = {}

    def read() -> None:
        client = requests.Session()
        client.headers["Authorization"] = f"Bearer {key}"
        for _ in range(STREAMS):
            job = _handed_in(client, url)
            with client.get(f"{url}/jobs/{job}/events", stream=True, timeout=60) as answer:
                for _line in answer.iter_lines():
                    pass
            ended[job] = time.time()

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    with found.superuser.connect() as connection:
        finished = connection.exec_driver_sql(
            "SELECT id, extract(epoch FROM finished_at)::float FROM jobs WHERE id = ANY(%s)",
            ([ids.parse_job_id(job) for job in ended],),
        )
        waits.extend(ended[ids.job_id(job)] - at for job, at in finished)


def _tell(sides: dict[str, list[inline.Side]]) -> None:
    print(f"requests answered a second; the middle of {ROUNDS} rounds of {inline.SECONDS} s by turns, least and most")
    for name, found in sorted(sides.items()):
        rates = [side.per_second for side in found]
        middle = sorted(found, key=lambda side: side.per_second)[len(found) // 2]
        bad = sum(side.bad for side in found)
        spread = f"({min(rates):.1f} to {max(rates):.1f})"
        print(f"  {name:<52} {statistics.median(rates):8.1f}  {spread:<20} p50 {middle.p50}, p99 {middle.p99}", end="")
        print(f"; {bad} of {sum(side.requests for side in found)} refused" if bad else "")
