"""Redis frozen, stopped and flushed while the API is asked for three times what a limit allows: what is let in of it,
how much is answered by an error of ours, and how long it takes."""

from __future__ import annotations

import http.client
import os
import signal
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from access import keys, tiers
from benchmarks import bed
from benchmarks.bed import Bed
from local import platform_processes
from local.state import held_port

PROCESSES, CLIENTS = 3, 2
PER_MINUTE, BURST, LOAD = 3000, 250, 3.0
SCENE_S = 10.0
#: By then a process knows that Redis is away.
KNOWN_S = 1.5


@dataclass(frozen=True)
class Asked:
    at: float
    status: int
    took_s: float


class Load:
    """Asks evenly, whatever is answered, until it is stopped."""

    def __init__(self, ports: list[str], token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._gap_s = len(ports) * CLIENTS / (LOAD * PER_MINUTE / 60)
        self._ended = threading.Event()
        self.asked: list[Asked] = []
        self._threads = [threading.Thread(target=self._ask, args=(port,)) for port in ports for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, port: str) -> None:
        line, due = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10), time.time()
        while not self._ended.wait(max(0.0, due - time.time())):
            begun = time.time()
            line.request("GET", "/api/v1/limits", headers=self._headers)
            answer = line.getresponse()
            answer.read()
            self.asked.append(Asked(begun, answer.status, time.time() - begun))
            due = max(due + self._gap_s, begun)


def run() -> None:
    with bed.made() as found:
        found.env.update(COATCHECK_MAX_ERRORS="0")
        ports = [_api(found, number) for number in range(PROCESSES)]
        given = {"requests_per_minute": PER_MINUTE, "requests_burst": BURST}
        tiers.create(found.parts.engine, "away", like="pro", given=given)
        token = keys.create(found.parts.engine, tenant="away", name="away", scopes=keys.CLIENT, tier="away")
        print(f"{PER_MINUTE} requests a minute, {BURST} at once; {PROCESSES} processes, {LOAD:g} times the limit")
        load = Load(ports, token)
        time.sleep(2 * BURST / (PER_MINUTE / 60))  # until what was there at first is used up
        try:
            _scenes(found, load)
        finally:
            load.stop()


def _scenes(found: Bed, load: Load) -> None:
    valkey = next(child for child in found.children if child.program.name == "valkey")
    scenes: list[tuple[str, Callable[[], object]]] = [
        ("as ever", lambda: None),
        ("frozen", lambda: os.kill(valkey.pid, signal.SIGSTOP)),
        ("goes on", lambda: os.kill(valkey.pid, signal.SIGCONT)),
        ("stopped", valkey.kill),
        ("is there again", lambda: found.start(valkey.program)),
        ("flushed", found.parts.line.redis.flushall),
        ("as ever", lambda: None),
    ]
    for name, do in scenes:
        do()
        begun = time.time()
        time.sleep(SCENE_S)
        _tell(name, [item for item in load.asked if begun <= item.at < begun + SCENE_S], begun)


def _api(found: Bed, number: int) -> str:
    port = str(held_port())
    found.python(
        f"api-{number}", "granian", "--interface", "wsgi", "--factory", "api:create_app", "--port", port,
        "--blocking-threads", "8",
    )  # fmt: skip
    bed.until(lambda: platform_processes.answers(f"http://127.0.0.1:{port}/healthz"))
    return port


def _tell(name: str, asked: list[Asked], begun: float) -> None:
    let_in = [item for item in asked if item.status == 200]
    ours = sum(item.status >= 500 for item in asked)
    later = [item.took_s * 1000 for item in asked if item.at >= begun + KNOWN_S]
    cuts = statistics.quantiles(later, n=100)
    seconds = [sum(begun + s <= item.at < begun + s + 1 for item in let_in) for s in range(int(SCENE_S))]
    print(
        f"  {name:14}: let in {len(let_in) / (PER_MINUTE / 60 * SCENE_S):.0%} of the limit; {ours} of {len(asked)} are "
        f"5xx; longest {max(item.took_s for item in asked) * 1000:.0f} ms, then p50 {cuts[49]:.1f} ms, p99 "
        f"{cuts[98]:.1f} ms; let in by the second {seconds}"
    )
