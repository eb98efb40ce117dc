"""`./run bench [inline|drain]`: measure on throw-away engines and print a table."""

from __future__ import annotations

import sys

from benchmarks import drain, inline

EVERY = {"inline": inline.run, "drain": drain.run}


def main() -> int:
    names = sys.argv[1:] or list(EVERY)
    if unknown := [name for name in names if name not in EVERY]:
        print(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(EVERY)}")
        return 2
    for name in names:
        EVERY[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
