"""Predictions answered at once per second, everything on, beside the same model behind the bare servers of others, by
turns, with few and with many connections; needs wrk."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from sqlalchemy import text

from benchmarks import bed, peers
from local import platform_processes
from local.child import Child, Program

ROUNDS, SECONDS = 5, 4
CONNECTIONS = (1, 16, 64)
SERVERS = Path(__file__).parent / "servers"
LUA = """
wrk.method = "POST"
wrk.body = '{"model": "sentiment", "inputs": {"text": "I love this product, it works perfectly!"}}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
"""
_BY_LANE = text("""
SELECT coalesce(sum(value), 0) FROM counts WHERE name = 'http_express_requests_total' AND labels LIKE '%answered%'
""")
QUICK_RAY = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}


@dataclasses.dataclass(frozen=True)
class Side:
    """Answers per second without the errors among them, which `bad` counts; times as wrk writes them, of both."""

    per_second: float
    p50: str
    p99: str
    bad: int
    requests: int


@dataclasses.dataclass(frozen=True)
class Server:
    """How one is started, and where it predicts."""

    start: Callable[[], list[Child]]
    url: str
    #: What is waited for before it is measured, beside answers; looked at from when it starts.
    watched: Callable[[], Callable[[], bool]] = lambda: lambda: True


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    python = peers.python("servers", SERVERS / "requirements.txt")
    # Which needs other releases of what ours and the others need.
    of_mlserver = peers.python("mlserver", SERVERS / "mlserver.txt")
    with bed.made() as found:
        script = found.folder / "post.lua"
        script.write_text(LUA % found.key())
        servers = {**ours(found), **_theirs(found, python, of_mlserver)}
        sides: dict[tuple[str, int], list[Side]] = {}
        for _ in track(range(ROUNDS), "by turns", console=Console(stderr=True)):
            for name, server in servers.items():
                for connections, side in _measured(server, script):
                    sides.setdefault((name, connections), []).append(side)
    _tell(list(servers), sides)


def ours(found: bed.Bed) -> Mapping[str, Server]:
    env, port = {**found.env, "COATCHECK_ONNX_THREADS": "1"}, found.state.ports["api"]
    alone = Program("api", platform_processes.command("serve", "--port", "8001"), env)
    return {
        "coatcheck": Server(
            lambda: [found.start(program) for program in platform_processes.door(found.state, env)],
            f"http://127.0.0.1:{port}/api/v1/predict",
            lambda: _lane_answers(found),
        ),
        "coatcheck, its API alone": Server(lambda: [found.start(alone)], "http://127.0.0.1:8001/api/v1/predict"),
    }


def _lane_answers(found: bed.Bed) -> Callable[[], bool]:
    """Whether it has answered any from now on: the proxy passes by who was not there when it began, for a while."""

    def answered() -> float:
        with found.superuser.connect() as connection:
            return float(connection.execute(_BY_LANE).scalar_one())

    before = answered()
    return lambda: answered() > before


def _theirs(found: bed.Bed, python: Path, of_mlserver: Path) -> Mapping[str, Server]:
    port = str(found.state.ports["flower"])

    def server(path: str, *arguments: str, **env: str) -> Server:
        return by(python, path, *arguments, **env)

    def by(interpreter: Path, path: str, *arguments: str, **env: str) -> Server:
        program = Program("other", (str(interpreter), "-m", *arguments), {**found.env, **env})
        return Server(lambda: [found.start(program)], f"http://127.0.0.1:{port}{path}")

    here = "benchmarks.servers"
    uvicorn = ("uvicorn", f"{here}.by_fastapi:app", "--port", port, "--log-level", "warning", "--no-access-log")
    return {
        "FastAPI, in threads": server("/threads", *uvicorn),
        "FastAPI, in the loop": server("/loop", *uvicorn),
        "LitServe": server("/predict", f"{here}.by_litserve", port),
        "BentoML": server("/predict", "bentoml", "serve", f"{here}.by_bentoml:Service", "--port", port),
        "MLServer": by(of_mlserver, "/predict", f"{here}.by_mlserver", port),
        "Ray Serve": server("/", f"{here}.by_ray", port),
        "Ray Serve, for throughput": server("/", f"{here}.by_ray", port, **QUICK_RAY),
    }


def _measured(server: Server, script: Path) -> Iterator[tuple[int, Side]]:
    """With each number of connections."""
    with started(server, script):
        for connections in CONNECTIONS:
            yield connections, measure(server.url, script, connections=connections)


@contextlib.contextmanager
def started(server: Server, script: Path) -> Iterator[list[Child]]:
    """Its processes, once it predicts; they are stopped after."""
    is_there, children = server.watched(), server.start()
    try:
        bed.until(lambda: _predicts(server.url, script) and is_there())
        yield children
    finally:
        for child in children:
            child.stop()


def _predicts(url: str, script: Path) -> bool:
    done = subprocess.run(_wrk(url, script, 1, 1), check=False, capture_output=True, text=True)
    return done.returncode == 0 and "Non-2xx" not in done.stdout


def measure(url: str, script: Path, *, connections: int = 16) -> Side:
    """After as many requests as it answers in two seconds."""
    subprocess.run(_wrk(url, script, connections, 2), check=True, capture_output=True)
    # Who hung up is still being answered, and would stand beside as many who come.
    time.sleep(1)
    command = _wrk(url, script, connections, SECONDS)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    counted = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    requests, bad = int(_found(r"(\d+) requests in", said)), int(counted[1]) if counted else 0
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", said)) * (1 - bad / max(1, requests))
    return Side(rate, _found(r"\n\s+50%\s+(\S+)", said), _found(r"\n\s+99%\s+(\S+)", said), bad, requests)


def _wrk(url: str, script: Path, connections: int, seconds: int) -> list[str]:
    return ["wrk", "-t1", f"-c{connections}", "--latency", f"-d{seconds}s", "-s", str(script), url]


def _tell(names: list[str], sides: Mapping[tuple[str, int], list[Side]]) -> None:
    print(
        f"predictions answered at once a second; the middle of {ROUNDS} rounds of {SECONDS} s by turns, least and most"
    )
    for connections in CONNECTIONS:
        print(f"{connections} connections")
        ours = median(side.per_second for side in sides["coatcheck", connections])
        for name in names:
            found = sides[name, connections]
            rates = [side.per_second for side in found]
            middle = sorted(found, key=lambda side: side.per_second)[len(found) // 2]
            spread, ratio = f"({min(rates):.0f} to {max(rates):.0f})", ours / median(rates)
            bad = sum(side.bad for side in found)
            print(
                f"  {name:<26} {median(rates):7.0f}  {spread:<16} {ratio:5.2f}  p50 {middle.p50}, p99 {middle.p99}",
                end="",
            )
            print(f"; {bad} of {sum(side.requests for side in found)} refused" if bad else "")


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    told = [Path(f"/proc/{item}/status").read_text() for item in pids]
    return sum(int(_found(r"VmRSS:\s+(\d+)", said)) for said in told) / 1024


def _found(pattern: str, said: str) -> str:
    match = re.search(pattern, said)
    if match is None:
        raise ValueError(said)
    return match[1]
