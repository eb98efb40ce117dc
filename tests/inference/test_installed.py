"""Where a class is that a model names."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from inference import installed


def test_a_class_is_told_with_its_package_where_that_is_known() -> None:
    assert installed.told(EntryPoint("a", "own.module:Own", "group")) == "own.module:Own"
    (brought,) = entry_points(group="console_scripts", name="pytest")
    assert brought.dist is not None
    assert installed.told(brought) == f"{brought.value} of pytest {brought.dist.version}"
