"""Broken versions of the platform: a run against one of them must fail. The product knows nothing of this; what runs is
a copy of it with a few words changed."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Sabotage:
    """Words of one file, and what stands in their place."""

    file: str
    before: str
    after: str

    def do(self, root: Path) -> None:
        path = root / self.file
        text = path.read_text()
        assert text.count(self.before) == 1, f"{self.file} does not say once: {self.before}"
        path.write_text(text.replace(self.before, self.after))


def sabotaged(folder: Path, names: Collection[str]) -> Path:
    """The project with these of SABOTAGES, in a new folder; without any, the project itself."""
    if not names:
        return ROOT
    done = [SABOTAGES[name] for name in names]
    copied = {item.file.partition("/")[0] for item in done}
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.name in copied:
            shutil.copytree(entry, folder / entry.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / entry.name).symlink_to(entry)
    for item in done:
        item.do(folder)
    return folder


_MINE = "lower(jobs.status) = 'processing' AND jobs.attempt = mine.attempt\n  RETURNING jobs.id, mine.attempt"
_TICK = '"upkeep": {"task": "coatcheck.upkeep", "schedule": TICK_S, "options": {"queue": "control"}},'
_CALL = "            answer = self._call(delivery, delivery.url)\n"
_HEARD = "            return\n        self._failures = 0\n"
_TAKE = "    mine = _parents()\n"

SABOTAGES = {
    "no fence": Sabotage("jobs/settle.py", _MINE, _MINE.replace(" AND jobs.attempt = mine.attempt", "")),
    "no sweep": Sabotage("workers/app.py", _TICK, ""),
    "no lease": Sabotage("jobs/chores.py", "rescue.lease_over(engine, max_losses=max_losses, floor=floor)", "0"),
    "slow rescue": Sabotage("workers/node.py", _TAKE, f"{_TAKE}    time.sleep(300)\n"),
    "lost wake-up": Sabotage("core/broker.py", "nx=True, px=HINT_TTL_MS)", "nx=True)"),
    "tired worker": Sabotage("jobs/lease.py", _HEARD, "            return\n"),
    "called twice": Sabotage("webhooks/sender.py", _CALL, _CALL * 2),
    "last digit": Sabotage(
        "jobs/kinds/predict.py",
        "self.said.append(said)",
        "self.said.append(type(said)(said.label, said.confidence + 1e-6, said.scores))",
    ),
}
