"""Who gets which version: the same every time, in the shares that were said, and no move for who need not."""

from __future__ import annotations

import hashlib
from collections import Counter
from math import sqrt

import pytest

from registry.routes import NONE, By, Canary, Experiment, Ramp, Routes, Shadow, Unit, Variant, part

COUNT = 20_000
NEXT, SMALL = Canary("next", "2.0.0", 10.0), Canary("small", "3.0.0", 2.5)
TONE = Experiment("tone", 40.0, (Variant("a", "1.1.0", 1), Variant("b", "1.2.0", 3)))
ALL_OF_THEM = Routes(By.CALLER, (NEXT, SMALL), (TONE,))


def routes_of(routes: Routes, model: str = "churn", count: int = COUNT) -> list[str]:
    """Of so many callers."""
    taken = (routes.taken(model, Unit("same", f"caller-{number}")) for number in range(count))
    return ["stable" if found is None else found[1] for found in taken]


def near(count: int, share: float, of: int = COUNT) -> bool:
    """Within four standard deviations."""
    return abs(count - share * of) <= 4 * sqrt(of * share * (1 - share))


def test_each_rule_has_its_share_and_the_stable_version_the_rest() -> None:
    counts = Counter(routes_of(ALL_OF_THEM))
    shares = {"canary next": 0.1, "canary small": 0.025, "experiment tone/a": 0.1, "experiment tone/b": 0.3}
    assert counts.keys() == {*shares, "stable"}
    assert all(near(counts[route], share) for route, share in shares.items()), counts


@pytest.mark.parametrize(("percent", "count"), [(0.0, 0), (100.0, 1000)])
def test_no_share_is_nobody_and_all_of_it_is_everybody(percent: float, count: int) -> None:
    found = routes_of(Routes(By.CALLER, (Canary("next", "2.0.0", percent),)), count=1000)
    assert found.count("canary next") == count
    two = Routes(By.CALLER, (Canary("one", "2.0.0", 60.0), Canary("two", "3.0.0", 40.0)))
    assert "stable" not in routes_of(two, count=1000)


def test_what_a_version_is_answered_by_is_the_one_that_is_named() -> None:
    found = {ALL_OF_THEM.taken("churn", Unit("r", f"caller-{number}")) for number in range(1000)}
    assert found == {
        ("2.0.0", "canary next"), ("3.0.0", "canary small"), ("1.1.0", "experiment tone/a"),
        ("1.2.0", "experiment tone/b"), None,
    }  # fmt: skip


def test_who_has_a_version_keeps_it_while_its_rule_grows_and_canaries_come_and_go() -> None:
    small = routes_of(ALL_OF_THEM)
    for canaries in ((), (NEXT,), (Canary("next", "2.0.0", 25.0), SMALL), (SMALL, NEXT)):
        others = routes_of(Routes(By.CALLER, canaries, (TONE,)))
        assert [item.startswith("experiment ") and item for item in others] == [
            item.startswith("experiment ") and item for item in small
        ]
    grown = routes_of(Routes(By.CALLER, (Canary("next", "2.0.0", 25.0), SMALL), (TONE,)))
    assert {after for before, after in zip(small, grown, strict=True) if before == "canary next"} == {"canary next"}
    more = routes_of(Routes(By.CALLER, (NEXT, SMALL), (Experiment("tone", 60.0, TONE.variants),)))
    for before, after in zip(small, more, strict=True):
        assert before == after or not before.startswith("experiment ")


def test_models_and_rules_decide_for_themselves() -> None:
    half = Routes(By.CALLER, (Canary("next", "2.0.0", 50.0),))
    one, other = routes_of(half), routes_of(half, model="tumor")
    assert near(sum(a == b for a, b in zip(one, other, strict=True)), 0.5)
    named = routes_of(Routes(By.CALLER, (Canary("later", "2.0.0", 50.0),)))
    assert near(sum((a == "stable") == (b == "stable") for a, b in zip(one, named, strict=True)), 0.5)


@pytest.mark.parametrize(("by", "distinct"), [(By.REQUEST, "request"), (By.CALLER, "caller")])
def test_what_is_decided_for_is_the_request_or_its_caller(by: By, distinct: str) -> None:
    half = Routes(by, (Canary("next", "2.0.0", 50.0),))
    for changes in ("request", "caller"):
        units = [Unit(**{"request": "same", "caller": "same", changes: str(number)}) for number in range(100)]
        assert (len({half.taken("churn", unit) for unit in units}) == 2) is (changes == distinct)


def test_without_rules_nobody_is_taken() -> None:
    assert NONE.taken("churn", Unit("r", "c")) is None


def test_anybody_can_say_afterwards_which_number_a_unit_has() -> None:
    digest = hashlib.blake2b("churn\0next\0é".encode(), digest_size=8).hexdigest()
    assert part("churn", "next", "é") == int(digest, 16) / 2**64
    # As it is written down: what was decided once is decided for good.
    assert part("churn", "next", "req_1") == 0.9926748152588101


def test_a_canary_is_compared_by_its_part_of_what_it_and_the_stable_version_get() -> None:
    assert ALL_OF_THEM.share(NEXT) == pytest.approx(10 / (10 + 47.5))
    assert ALL_OF_THEM.share(SMALL) == pytest.approx(2.5 / (2.5 + 47.5))
    assert Routes(canaries=(Canary("a", "1.0.0", 25.0),)).share(Canary("a", "1.0.0", 25.0)) == 0.25
    whole, none = Canary("a", "1.0.0", 100.0), Canary("b", "1.0.0", 0.0)
    both = Routes(canaries=(whole, none))
    assert (both.share(whole), both.share(none)) == (1.0, 0.0)
    # Of hundredths that a float cannot say, a little more than all may come.
    over = (Canary("a", "1.0.0", 60.0), Canary("b", "1.0.0", 40.0 + 1e-12))
    assert Routes(canaries=over).share(over[0]) == 1.0
    less = tuple(Canary(f"c{part}", "1.0.0", part) for part in (70.1, 20.1, 9.8))
    assert sum(canary.percent for canary in less) < 100
    assert [Routes(canaries=less).share(canary) for canary in less] == [1.0] * 3


def test_a_ramp_goes_to_its_next_step_until_there_is_none() -> None:
    ramp = Ramp((5.0, 20.0, 50.0))
    assert [ramp.after(percent) for percent in (0, 4.99, 5, 20, 49, 50, 60)] == [5, 5, 20, 50, 50, None, None]


def test_a_shadow_is_asked_of_its_share_whoever_is_answered() -> None:
    half, whole, none = (Shadow("s", "2.0.0", percent) for percent in (50.0, 100.0, 0.0))
    requests = [f"req_{number}" for number in range(2_000)]
    assert near(sum(half.takes("churn", request) for request in requests), 0.5, of=2_000)
    assert all(whole.takes("churn", request) for request in requests)
    assert not any(none.takes("churn", request) for request in requests)
    exact = part("churn", "shadow/s", "req_1") * 100
    assert not Shadow("s", "2.0.0", exact).takes("churn", "req_1")
    assert Shadow("s", "2.0.0", exact + 1e-9).takes("churn", "req_1")


def test_every_version_is_named_with_where_it_is() -> None:
    routes = Routes(By.CALLER, (NEXT,), (TONE,), {"champion": "1.0.0"}, (Shadow("s", "4.0.0", 1.0),))
    assert list(routes.versions()) == [
        ("canary next", "2.0.0"), ("experiment tone/a", "1.1.0"), ("experiment tone/b", "1.2.0"),
        ("shadow s", "4.0.0"), ("alias champion", "1.0.0"),
    ]  # fmt: skip
