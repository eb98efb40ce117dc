"""Far more than there is room for, through the proxy: are those that are let in answered about as fast as when nothing
else is asked, is all that was accepted done, and is it over when it is over? And what a thousand bad requests a second
of one caller cost another. Needs wrk; `--seconds` says for how long."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from access import keys
from benchmarks import bed, spite
from benchmarks.inline import LUA, rss_mb
from benchmarks.webhooks import Receivers
from local import platform_processes
from local.child import Child

CONNECTIONS = 64
SECONDS, QUIET_S, AFTER_S = 30.0, 10.0, 10.0
#: Rounds with and without the hostile one, by turns.
ROUNDS, ROUND_S = 10, 6.0
#: Between two calls of who is measured, and of who hands in jobs.
GAP_S, JOB_GAP_S = 0.01, 0.1
#: As usual again: so many calls in a row of which half take at most so many times what they took.
IN_A_ROW, AS_USUAL = 20, 1.5
TEXT = {"text": "I love this product, it works perfectly!"}


@dataclass
class Seen:
    """By one who asks again and again: when each call began and how long it took, of those that were answered; and the
    statuses of the others."""

    calls: list[tuple[float, float]] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    def ms(self, share: float) -> float:
        took = sorted(took for _, took in self.calls)
        return took[int(len(took) * share)] * 1000 if took else float("nan")

    def told(self) -> str:
        """One line."""
        refused = sum(self.refused.values())
        return f"{len(self.calls):5} answered, {refused} not; p50 {self.ms(0.5):6.2f} ms, p99 {self.ms(0.99):6.2f} ms"


class Caller:
    """One connection that is kept."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> tuple[int, dict[str, object]]:
        data = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, data, self._headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, {}

    def predict(self) -> int:
        return self.ask("POST", "/api/v1/predict", {"model": "sentiment", "inputs": TEXT})[0]


@contextlib.contextmanager
def again_and_again(do: Callable[[], None], gap_s: float) -> Iterator[None]:
    """Beside what is done meanwhile."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(gap_s):
            do()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def asking(port: int, key: str) -> Iterator[Seen]:
    caller, seen = Caller(port, key), Seen()

    def ask() -> None:
        began = time.perf_counter()
        status = caller.predict()
        if status == 200:
            seen.calls.append((began, time.perf_counter() - began))
        else:
            seen.refused[status] += 1

    with again_and_again(ask, GAP_S):
        yield seen


@dataclass
class Platform:
    """All of it, with a receiver, and callers of three tenants."""

    found: bed.Bed
    receivers: Receivers

    def __post_init__(self) -> None:
        found, ports = self.found, range(self.receivers.port, self.receivers.port + self.receivers.COUNT)
        found.env["COATCHECK_WEBHOOK_LOOPBACK"] = ",".join(map(str, ports))
        early, late = platform_processes.programs(found.state, found.env)
        children = {item.name: found.start(item) for item in (*early, *late) if item.name != "flower"}
        self.api: Child = children["api"]
        self.port = found.state.ports["api"]
        bed.until(lambda: platform_processes.answers(f"http://127.0.0.1:{self.port}/ready"))
        self.crowd, self.honest, self.worker = map(self.key, ("crowd", "honest", "worker"))

    def key(self, tenant: str) -> str:
        return keys.create(self.found.parts.engine, tenant=tenant, name="bench", scopes=keys.CLIENT, tier="internal")


@dataclass
class Work:
    """Jobs that were accepted, each with a call to the receiver."""

    platform: Platform
    accepted: list[str] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)

    @contextlib.contextmanager
    def handed_in(self) -> Iterator[None]:
        caller, hook = Caller(self.platform.port, self.platform.worker), self.platform.receivers.url(1)

        def submit() -> None:
            status, ticket = caller.ask(
                "POST", "/api/v1/jobs", {"inputs": TEXT, "model": "sentiment", "webhook_url": hook}
            )
            if status == 202:
                self.accepted.append(str(ticket["job_id"]))
            else:
                self.refused[status] += 1

        with again_and_again(submit, JOB_GAP_S):
            yield

    def wait(self) -> None:
        """Until each has its answer and was told of; raises TimeoutError."""
        caller = Caller(self.platform.port, self.platform.worker)
        for job in self.accepted:
            bed.until(lambda job=job: caller.ask("GET", f"/api/v1/jobs/{job}?wait=20")[1].get("status") == "completed")
        bed.until(lambda: self.platform.receivers.report(1)["seen"] == len(self.accepted))


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    with bed.made() as found, Receivers() as receivers:
        platform = Platform(found, receivers)
        overloaded(platform)
        beside_a_hostile_one(platform)


def overloaded(platform: Platform) -> None:
    """Both that are measured share the crowd's fate: one its tenant, the other the process alone."""
    work = Work(platform)
    with asking(platform.port, platform.honest):
        time.sleep(2)
    with asking(platform.port, platform.honest) as quiet:
        time.sleep(QUIET_S)
    before = rss_mb(platform.api.pid)
    print(f"quiet                   {quiet.told()}; {before:.0f} MB", flush=True)
    with work.handed_in():
        with asking(platform.port, platform.crowd) as same, asking(platform.port, platform.honest) as other:
            print(f"{CONNECTIONS} connections, {SECONDS:g} s: {crowd(platform)}")
        with asking(platform.port, platform.honest) as after:
            over = time.perf_counter()
            time.sleep(AFTER_S)
    for name, seen in (("of the crowd", same), ("another tenant", other)):
        ratios = f"{seen.ms(0.5) / quiet.ms(0.5):.1f} and {seen.ms(0.99) / quiet.ms(0.99):.1f} x quiet"
        print(f"  {name:<21} {seen.told()}: {ratios}")
    print(f"  as usual again after  {usual_again(after, quiet) - over:.2f} s;  {rss_mb(platform.api.pid):.0f} MB")
    work.wait()
    refused = dict(work.refused) or "none"
    print(f"  jobs                  {len(work.accepted)} accepted, all done and told of; refused: {refused}")


def crowd(platform: Platform) -> str:
    """Clients that ask again at once, whatever they are told; what came of it."""
    script = platform.found.folder / "crowd.lua"
    script.write_text(LUA % platform.crowd)
    url = f"http://127.0.0.1:{platform.port}/api/v1/predict"
    command = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS:g}s", "--timeout", "30s", "-s", str(script), url)
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [
        line.strip() for line in text.splitlines() if "requests in" in line or "Non-2xx" in line or "Socket" in line
    ]
    return "; ".join(lines)


def usual_again(after: Seen, quiet: Seen) -> float:
    """When the calls that take as long as usual begin."""
    most = quiet.ms(0.5) / 1000 * AS_USUAL
    for first in range(len(after.calls) - IN_A_ROW):
        if statistics.median(took for _, took in after.calls[first : first + IN_A_ROW]) <= most:
            return after.calls[first][0]
    return float("inf")


def beside_a_hostile_one(platform: Platform) -> None:
    key = platform.key("hostile")
    quiet, beside, told = Seen(), Seen(), Counter[int]()
    for _ in range(ROUNDS):
        for into, hostile in ((quiet, False), (beside, True)):
            beside_it = spite.sent(platform.port, key, told) if hostile else contextlib.nullcontext()
            with beside_it, asking(platform.port, platform.honest) as seen:
                time.sleep(ROUND_S)
            into.calls += seen.calls
            into.refused += seen.refused
    rate = sum(told.values()) / (ROUNDS * ROUND_S)
    print(f"quiet                   {quiet.told()}")
    print(
        f"{rate:5.0f} bad requests/s    {beside.told()}: {beside.ms(0.99) / quiet.ms(0.99):.2f} x at p99; {dict(told)}"
    )
