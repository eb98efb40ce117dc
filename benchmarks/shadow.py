"""What a shadow of everything costs the primary: inline predictions with and without, in turns; needs wrk."""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path

import sqlalchemy

from benchmarks import bed, inline
from core.audit import Actor
from local import platform_processes
from local.child import Program
from registry import routing

ROUNDS, CONNECTIONS = 3, 16
SHADOW = [{"name": "beside", "version": "1.0.1", "percent": 100}]


def run() -> None:
    if shutil.which("wrk") is None:
        sys.exit("this one needs wrk (apt-get install wrk)")
    with bed.made() as found:
        found.once("models", "push", str(_again(found.folder)))
        key = found.key()
        script = found.folder / "post.lua"
        script.write_text(inline.LUA % key)
        env = {**found.env, "COATCHECK_ONNX_THREADS": "1"}
        found.start(Program("api", platform_processes.command("serve", "--port", "8001"), env))
        found.python(
            "worker", "celery", "-A", "workers.app", "worker", "-Q", "cpu", "--concurrency", "1", "-l", "WARNING"
        )
        url = "http://127.0.0.1:8001"
        bed.until(lambda: platform_processes.answers(f"{url}/ready"))
        sides: dict[bool, list[inline.Side]] = {False: [], True: []}
        for _ in range(ROUNDS):
            for shadowed, rounds in sides.items():
                _route(found, SHADOW if shadowed else [])
                rounds.append(inline.measure(f"{url}/api/v1/predict", script, connections=CONNECTIONS))
        with found.parts.engine.connect() as connection:
            pairs = connection.execute(sqlalchemy.text("SELECT count(*) FROM shadow_pairs")).scalar_one()
    print(f"inline predictions, {CONNECTIONS} connections, {ROUNDS} rounds of {inline.SECONDS} s each, in turns")
    for shadowed, rounds in sides.items():
        speed = statistics.median(side.per_second for side in rounds)
        tails = ", ".join(side.p99 for side in rounds)
        print(f"  {'shadow 100 %' if shadowed else 'no shadow':<14} {speed:8.0f} /s   p99 {tails}")
    speeds = {shadowed: statistics.median(side.per_second for side in rounds) for shadowed, rounds in sides.items()}
    print(f"  ratio          {speeds[True] / speeds[False]:8.2f}     {pairs} pairs compared meanwhile")


def _again(folder: Path) -> Path:
    """The same model as another version."""
    made = folder / "sentiment-again"
    shutil.copytree(bed.ROOT / "bundles" / "sentiment-1", made)
    said = made / "model.yaml"
    said.write_text(said.read_text().replace("version: 1.0.0", "version: 1.0.1"))
    return made


def _route(found: bed.Bed, shadows: list[dict[str, object]]) -> None:
    """It holds within a second, before what warms up is over."""
    with found.parts.engine.begin() as connection:
        routing.change(connection, "sentiment", {"shadows": shadows}, Actor("cli:bench"))
