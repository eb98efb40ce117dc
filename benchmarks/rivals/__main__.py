"""`python -m benchmarks.rivals NAME COUNT`: hand in so many jobs, and say by which module they are done."""

from __future__ import annotations

import importlib
import json
import sys

name, count = sys.argv[1:]
found = importlib.import_module(f"benchmarks.rivals.by_{name}")
found.enqueue(int(count))
print(json.dumps(found.WORKER))
