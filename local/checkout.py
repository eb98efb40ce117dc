"""Which code a checkout holds, so that whoever updates it is told that an earlier one still runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: What no process of the platform reads.
_NOT_RUN = ("tests", "benchmarks")


def digest(root: Path) -> str:
    """Of every file of our packages and of the migrations, by name and content; of another version it is another."""
    packages = [path.parent for path in root.glob("*/__init__.py") if path.parent.name not in _NOT_RUN]
    files = [path for folder in (*packages, root / "migrations") for path in folder.rglob("*") if path.is_file()]
    found = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix != ".pyc"):
        found.update(f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
