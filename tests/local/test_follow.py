"""What runs in the foreground shows what its processes log, whatever becomes of their files meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import commands


class Supervised:
    """Two logs, and before each further look something that happens; after the last of them it stops."""

    def __init__(self, folder: Path, steps: Iterator[Callable[[], object]]) -> None:
        self._steps = steps
        self.children: list[Any] = []
        for name in ("api", "worker"):
            (folder / f"{name}.log").write_text("before\n")
            self.children.append(SimpleNamespace(log=folder / f"{name}.log", program=SimpleNamespace(name=name)))

    @property
    def stopping(self) -> bool:
        step = next(self._steps, None)
        if step is not None:
            step()
        return step is None


def test_a_log_that_is_removed_or_put_aside_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    api, worker = tmp_path / "api.log", tmp_path / "worker.log"
    steps: list[Callable[[], object]] = [
        lambda: worker.write_text("before\none\n"), api.unlink, lambda: worker.write_text("before\none\ntwo\n"),
        lambda: api.write_text("anew\n"), lambda: worker.write_text("three\n"),
    ]  # fmt: skip
    supervised: Any = Supervised(tmp_path, iter(steps))
    commands.follow(supervised)
    said = [line.replace(" ", "") for line in capsys.readouterr().out.splitlines()]
    assert said == ["worker│one", "worker│two", "api│anew", "worker│three"]
    supervised = Supervised(tmp_path, iter([lambda: api.write_text("before\nlast\n")]))
    commands.follow(supervised)
    assert "last" in capsys.readouterr().out
