"""The process that a draft is made in: `python -m inference.drafts.process PARENT FOLDER ASKED DRAWN`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import orjson

from inference import trial_process
from inference.drafts import draft, python
from inference.drafts.convert import Converted
from inference.drafts.trained import Seen


def main() -> None:
    parent, *paths = sys.argv[1:]
    folder, asked, drawn = map(Path, paths)
    trial_process.within(int(parent), lambda begins: _draw(folder, asked, drawn, begins))


def _draw(folder: Path, asked: Path, drawn: Path, begins: trial_process.Begins) -> None:
    """By what `inference.drafts.guarded` asks; raises BundleInvalid."""
    asks = orjson.loads(asked.read_bytes())
    if "class" in asks:
        made = python.draw(folder, asks["name"], asks["class"], asks["row"], begins)
    else:
        known = Converted(seen=Seen(**asks["known"]["seen"]), labels=asks["known"]["labels"])
        made = draft.draw(folder, asks["name"], known, begins)
    drawn.write_bytes(orjson.dumps(dataclasses.asdict(made)))


if __name__ == "__main__":
    main()
