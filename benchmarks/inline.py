"""Inline predictions per second, everything on, against a bare FastAPI + uvicorn app with the same model; needs wrk."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import bed
from local import platform_processes
from local.child import Program

SECONDS = 8
CONNECTIONS = 16
LUA = """
wrk.method = "POST"
wrk.body = '{"model": "sentiment", "inputs": {"text": "I love this product, it works perfectly!"}}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer %s"
"""


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    with bed.made() as found:
        key = found.key()
        script = found.folder / "post.lua"
        script.write_text(LUA % key)
        env = {**found.env, "COATCHECK_ONNX_THREADS": "1"}
        alone = found.start(Program("api", platform_processes.command("serve", "--port", "8001"), env))
        mine = asked("http://127.0.0.1:8001", script)
        memory = rss_mb(alone.pid)
        alone.stop()
        door = [found.start(program) for program in platform_processes.door(found.state, env)]
        behind = asked(f"http://127.0.0.1:{found.state.ports['api']}", script)
        for child in door:
            child.stop()
        port = str(found.state.ports["flower"])
        other = ("uvicorn", "benchmarks.fastapi_app:app", "--port", port, "--log-level", "warning", "--no-access-log")
        found.python("fastapi", *other)
        bed.until(lambda: platform_processes.answers(f"http://127.0.0.1:{port}/docs"))
        theirs = measure(f"http://127.0.0.1:{port}/predict", script)
    print(f"inline predictions, {CONNECTIONS} connections, {SECONDS} s each")
    for name, side in (("coatcheck", mine), ("behind proxy", behind), ("bare FastAPI", theirs)):
        print(f"  {name:<14} {side.per_second:8.0f} /s   p50 {side.p50}   p99 {side.p99}   not 2xx: {side.bad}")
    ratio, cost = mine.per_second / theirs.per_second, behind.per_second / mine.per_second
    print(f"  ratio          {ratio:8.2f}     behind the proxy {cost:.2f} of without")
    print(f"  api after {mine.requests} requests: {memory:.0f} MB")


def asked(url: str, script: Path) -> Side:
    bed.until(lambda: platform_processes.answers(f"{url}/ready"))
    return measure(f"{url}/api/v1/predict", script)


@dataclasses.dataclass(frozen=True)
class Side:
    per_second: float
    p50: str
    p99: str
    bad: int
    requests: int


def measure(url: str, script: Path) -> Side:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(script)]
    subprocess.run([*command, "-d2s", url], check=True, capture_output=True)
    text = subprocess.run([*command, f"-d{SECONDS}s", url], check=True, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Side(
        float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        _found(r"50%\s+(\S+)", text),
        _found(r"99%\s+(\S+)", text),
        int(bad[1]) if bad else 0,
        int(_found(r"(\d+) requests in", text)),
    )


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    lines = [Path(f"/proc/{item}/status").read_text() for item in pids]
    return sum(int(_found(r"VmRSS:\s+(\d+)", text)) for text in lines) / 1024


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(text)
    return match[1]
