"""Measure on throw-away engines: `./run bench NAME`, or none for those that are short; the names are below. What each
says is kept in `results/NAME.txt`."""

from __future__ import annotations

import argparse
import sys

from benchmarks import (
    accept,
    away,
    bulk,
    cache,
    drain,
    explain,
    gpu,
    grpc,
    history,
    horizon,
    hostile,
    hot_path,
    inline,
    kept,
    overload,
    profiles,
    queues,
    rates,
    recovery,
    rollout,
    shadow,
    shapes,
    shelf,
    webhooks,
)

EVERY = {"inline": inline.run, "drain": drain.run}
#: Only when asked for: it takes minutes and several GB of disk.
LONG = {
    "accept": accept.run,
    "away": away.run,
    "bulk": bulk.run,
    "cache": cache.run,
    "explain": explain.run,
    "gpu": gpu.run,
    "grpc": grpc.run,
    "history": history.run,
    "horizon": horizon.run,
    "hostile": hostile.run,
    "hot_path": hot_path.run,
    "overload": overload.run,
    "profiles": profiles.run,
    "queues": queues.run,
    "rates": rates.run,
    "recovery": recovery.run,
    "rollout": rollout.run,
    "shadow": shadow.run,
    "shapes": shapes.run,
    "shelf": shelf.run,
    "webhooks": webhooks.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=overload.SECONDS, help="how long `overload` goes on")
    parser.add_argument(
        "--rounds", type=int, help="by turns, of those that have rounds; without it each has its own number"
    )
    given = parser.parse_args()
    overload.SECONDS = given.seconds
    names = given.names or list(EVERY)
    if unknown := [name for name in names if name not in EVERY | LONG]:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(EVERY | LONG)}")
        return 2
    for name in names:
        run = (EVERY | LONG)[name]
        if given.rounds:
            vars(sys.modules[run.__module__])["ROUNDS"] = given.rounds
        with kept.said(name):
            run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
