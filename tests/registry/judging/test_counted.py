"""How canaries ended, as it is counted."""

from __future__ import annotations

from core import metrics
from tests.conftest import Platform
from tests.registry.judging.test_judge import Route, See, name, percent, route, see, seen

__all__ = ["name", "route", "see"]


def test_each_canary_that_ends_by_what_was_seen_is_counted_once(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    def counted() -> list[float]:
        return [metrics.CANARIES.labels(name, result)._value.get() for result in ("rolled_back", "promoted")]

    route()
    see(*(seen("canary next", code="MODEL_ERROR") for _ in range(5)))
    assert counted() == [1, 0]
    route(ramp={"to": [50], "requests": 1, "then": "promote"})
    see(seen("canary next"))
    assert (percent(platform, name), counted()) == (50, [1, 0])
    see(seen("canary next"))
    assert (percent(platform, name), counted()) == (None, [1, 1])
