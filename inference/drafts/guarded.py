"""Making a draft in a process of its own, as a bundle is tried: to see what a graph answers, it is run."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from inference import trial
from inference.drafts.convert import Converted
from inference.drafts.draft import Draft

PROCESS = "inference.drafts.process"


def draw(folder: Path, name: str, known: Converted) -> Draft:
    """`draft.draw`; raises BundleInvalid also for a graph that does not end, or ends the process, and Unavailable
    where none can be started."""
    about = {"seen": dataclasses.asdict(known.seen), "labels": known.labels}
    return _asked(folder, {"name": name, "known": about})


def draw_class(folder: Path, name: str, class_: str, row: Mapping[str, Any]) -> Draft:
    """`python.draw`; raises the same."""
    return _asked(folder, {"name": name, "class": class_, "row": row})


def _asked(folder: Path, asks: Mapping[str, Any]) -> Draft:
    with tempfile.TemporaryDirectory(prefix="coatcheck-draft-") as kept:
        asked, drawn = Path(kept) / "asked.json", Path(kept) / "drawn.json"
        asked.write_bytes(orjson.dumps(asks))
        trial.within(folder, PROCESS, asked, drawn)
        return Draft(**orjson.loads(drawn.read_bytes()))
