"""`./run bench [inline|drain|away|bulk|history|hostile|rates|recovery|shelf|webhooks]`: on throw-away engines."""

from __future__ import annotations

import sys

from benchmarks import away, bulk, drain, history, hostile, inline, rates, recovery, shelf, webhooks

EVERY = {"inline": inline.run, "drain": drain.run}
#: Only when asked for: it takes minutes and several GB of disk.
LONG = {
    "away": away.run,
    "bulk": bulk.run,
    "history": history.run,
    "hostile": hostile.run,
    "rates": rates.run,
    "recovery": recovery.run,
    "shelf": shelf.run,
    "webhooks": webhooks.run,
}


def main() -> int:
    names = sys.argv[1:] or list(EVERY)
    if unknown := [name for name in names if name not in EVERY | LONG]:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(EVERY | LONG)}")
        return 2
    for name in names:
        (EVERY | LONG)[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
