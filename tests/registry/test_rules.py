"""What a model's routes may say: everything else is refused with the place and the limit, and nothing is ignored."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from core import errors
from registry import rules
from registry.routes import By, Canary, Experiment, Judge, Ramp, Routes, Then, Variant

CANARY = {"name": "next", "version": "2.0.0", "percent": 10}
VARIANTS = [{"name": "a", "version": "1.1.0", "weight": 1}, {"name": "b", "version": "1.2.0", "weight": 3}]
EVEN = {"name": "a", "version": "1.1.0"}
EXPERIMENT = {"name": "tone", "percent": 40.5, "variants": VARIANTS}
EVERYTHING = {
    "by": "caller", "canaries": [CANARY], "experiments": [EXPERIMENT],
    "aliases": {"champion": "1.0.0"},
}  # fmt: skip


def faults(**raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(errors.InvalidInput) as refused:
        rules.read({**EVERYTHING, **raw})
    return [(item["field"], item["issue"]) for item in refused.value.errors]


def named(count: int, **other: Any) -> list[dict[str, Any]]:
    return [{**CANARY, "percent": 0, "name": f"c{number}", **other} for number in range(count)]


def test_what_a_canary_does_not_say_of_its_judge_and_ramp_is_as_documented() -> None:
    (plain, ramped) = rules.read({"canaries": [CANARY, {**CANARY, "name": "other", "ramp": {"to": [20, 50]}}]}).canaries
    assert (plain.judge, plain.ramp) == (Judge(1.25, 0.01, acts=True), None)
    assert ramped.ramp == Ramp((20, 50), 1000, Then.HOLD)


def test_everything_that_may_be_said_is_read_and_read_back_the_same() -> None:
    found = rules.read(EVERYTHING)
    sides = (Variant("a", "1.1.0", 1), Variant("b", "1.2.0", 3))
    assert found == Routes(
        By.CALLER, (Canary("next", "2.0.0", 10),), (Experiment("tone", 40.5, sides),),
        {"champion": "1.0.0"},
    )  # fmt: skip
    assert rules.of(dataclasses.asdict(found)) == found
    assert rules.read({}) == Routes()


@pytest.mark.parametrize("raw", [None, [], "x", 1, {1: 2}, {"canary": []}])
def test_what_is_no_mapping_of_known_keys_is_refused(raw: object) -> None:
    with pytest.raises(errors.InvalidInput):
        rules.read(raw)


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        ({"by": "tenant"}, "by", "request, caller"),
        ({"canaries": [{**CANARY, "percent": 100.5}]}, "canaries.0.percent", "from 0 to 100"),
        ({"canaries": [{**CANARY, "percent": -1}]}, "canaries.0.percent", "from 0 to 100"),
        ({"canaries": [{**CANARY, "percent": "10"}]}, "canaries.0.percent", "a number"),
        ({"canaries": [{**CANARY, "percent": True}]}, "canaries.0.percent", "a number"),
        ({"canaries": [{**CANARY, "percent": float("nan")}]}, "canaries.0.percent", ""),
        ({"canaries": [{**CANARY, "percent": 0.001}]}, "canaries.0.percent", "two digits"),
        ({"canaries": [{**CANARY, "percent": 1e-9}]}, "canaries.0.percent", "two digits"),
        ({"canaries": [{**CANARY, "name": "Next"}]}, "canaries.0.name", "a-z"),
        ({"canaries": [{**CANARY, "name": "x\n"}]}, "canaries.0.name", "a-z"),
        ({"canaries": [{**CANARY, "version": "2"}]}, "canaries.0.version", "three numbers"),
        ({"canaries": [{**CANARY, "weight": 2}]}, "canaries.0.weight", "is unknown"),
        ({"canaries": [{"name": "next", "version": "2.0.0"}]}, "canaries.0.percent", "is missing"),
        ({"experiments": [{"name": "tone", "variants": VARIANTS}]}, "experiments.0.percent", "is missing"),
        ({"canaries": [CANARY, CANARY]}, "name", "'next' is of 2 rules"),
        ({"canaries": [{**CANARY, "name": "tone"}]}, "name", "'tone' is of 2 rules"),
        ({"mirrors": []}, "mirrors", "is unknown"),
        ({"canaries": [{**CANARY, "judge": {"tolerance": 0.9}}]}, "canaries.0.judge.tolerance", "from 1 to 10"),
        ({"canaries": [{**CANARY, "judge": {"tolerance": 10.1}}]}, "canaries.0.judge.tolerance", "from 1 to 10"),
        ({"canaries": [{**CANARY, "judge": {"level": 0}}]}, "canaries.0.judge.level", "from 1e-06 to 0.1"),
        ({"canaries": [{**CANARY, "judge": {"level": 0.11}}]}, "canaries.0.judge.level", "from 1e-06 to 0.1"),
        ({"canaries": [{**CANARY, "judge": {"acts": 1}}]}, "canaries.0.judge.acts", "true or false"),
        ({"canaries": [{**CANARY, "judge": {"alpha": 1}}]}, "canaries.0.judge.alpha", "is unknown"),
        ({"canaries": [{**CANARY, "ramp": {"requests": 5}}]}, "canaries.0.ramp.to", "is missing"),
        ({"canaries": [{**CANARY, "ramp": {"to": []}}]}, "canaries.0.ramp.to", "must not be empty"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20, 15]}}]}, "canaries.0.ramp.to", "must rise"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20, 20]}}]}, "canaries.0.ramp.to", "must rise"),
        ({"canaries": [{**CANARY, "ramp": {"to": [5, 9]}}]}, "canaries.0.ramp.to", "must rise"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20.001]}}]}, "canaries.0.ramp.to", "two digits"),
        ({"canaries": [{**CANARY, "ramp": {"to": list(range(11, 22))}}]}, "canaries.0.ramp.to", "at most 10"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20], "requests": 0}}]}, "canaries.0.ramp.requests", "from 1"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20], "then": "stop"}}]}, "canaries.0.ramp.then", "hold, promote"),
        ({"canaries": [{**CANARY, "judge": {"acts": False}, "ramp": {"to": [20]}}]}, "canaries.0.ramp", "acts"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20, 60]}}]}, "routes", "100.5 % of the traffic together"),
        ({"canaries": [{**CANARY, "ramp": {"to": [20, 59.5]}}]}, "routes", "must leave the stable version something"),
        ({"canaries": [{**CANARY, "percent": 59.5, "ramp": {"to": [59.5]}}]}, "routes", "gives it the rest"),
        ({"canaries": named(11)}, "canaries", "at most 10"),
        ({"experiments": [{**EXPERIMENT, "variants": VARIANTS[:1]}]}, "experiments.0.variants", "at least 2"),
        ({"experiments": [{**EXPERIMENT, "variants": VARIANTS * 2}]}, "experiments.0.variants", "is of 2 variants"),
        ({"experiments": [{**EXPERIMENT, "variants": [{**VARIANTS[0], "weight": 0}, VARIANTS[1]]}]},
         "experiments.0.variants.0.weight", "from 1"),
        ({"experiments": [{**EXPERIMENT, "variants": [EVEN, VARIANTS[1]]}]},
         "experiments.0.variants.0.weight", "is missing"),
        ({"by": "request"}, "by", "must be caller where there are experiments"),
        ({"canaries": [{**CANARY, "percent": 59.51}]}, "routes", "100.01 % of the traffic together"),
        ({"aliases": {"v2": "1.0.0"}}, "aliases.v2", "not like a version"),
        ({"aliases": {"1": "1.0.0"}}, "aliases.1", "not like a version"),
        ({"aliases": {"champion": "1"}}, "aliases.champion", "three numbers"),
        ({"aliases": {"champion": None}}, "aliases.champion", "three numbers"),
        ({"aliases": {f"a{number}": "1.0.0" for number in range(51)}}, "aliases", "at most 50"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_with_its_place(raw: dict[str, Any], field: str, says: str) -> None:
    found = dict(faults(**raw))
    assert field in found, found
    assert says in found[field]


def test_at_each_limit_it_is_taken() -> None:
    full = {**CANARY, "percent": 59.5}
    assert rules.read({**EVERYTHING, "canaries": [full]}).canaries[0].percent == 59.5
    assert len(rules.read({"canaries": named(10)}).canaries) == 10
    assert rules.read({"aliases": {f"a{number}": "1.0.0" for number in range(50)}}).aliases["a49"] == "1.0.0"
    hundredths = [{**CANARY, "name": name, "percent": percent} for name, percent in (("a", 0.07), ("b", 99.93))]
    assert len(rules.read({"canaries": hundredths}).canaries) == 2


def test_a_canary_that_does_not_grow_may_have_all_of_the_traffic() -> None:
    [found] = rules.read({"canaries": [{**CANARY, "percent": 100}]}).canaries
    assert found.percent == 100


def test_every_limit_is_where_it_is_said_to_be() -> None:
    """Each at it, and one beyond."""

    def canary(**says: Any) -> dict[str, Any]:
        return {"experiments": [], "canaries": [{**CANARY, **says}]}

    def experiment(*variants: dict[str, Any]) -> dict[str, Any]:
        return {"canaries": [], "experiments": [{**EXPERIMENT, "variants": [*variants]}]}

    def sides(count: int) -> list[dict[str, Any]]:
        return [{**VARIANTS[0], "name": f"n{number}"} for number in range(count)]

    def shadows(count: int, percent: float = 100) -> dict[str, Any]:
        return {"shadows": [{**CANARY, "name": f"s{number}", "percent": percent} for number in range(count)]}

    def experiments(count: int) -> dict[str, Any]:
        return {"experiments": [{**EXPERIMENT, "name": f"e{number}", "percent": 0} for number in range(count)]}

    steps = [10 + number / 4 for number in range(11)]
    at = [
        canary(judge={"tolerance": 1, "level": 0.000001}), canary(judge={"tolerance": 10, "level": 0.1}),
        canary(ramp=None), canary(ramp={"to": [10], "requests": 1}), canary(ramp={"to": steps[:10]}),
        canary(ramp={"to": [99.99], "requests": 10**9, "then": "promote"}), canary(percent=0), canary(percent=100),
        canary(percent=0.01), canary(percent=-0.0), canary(name="a" * 63), experiment(*sides(10)),
        experiment({**VARIANTS[0], "weight": 1}, {**VARIANTS[1], "weight": 1_000_000}), shadows(10), shadows(1, 0.01),
        experiments(10), {"aliases": {"v": "1.0.0", "vx": "1.0.0", "v2x": "1.0.0", "x2": "1.0.0", "a" * 63: "1.0.0"}},
        {"by": "request", "experiments": []},
    ]  # fmt: skip
    for says in at:
        rules.read({**EVERYTHING, **says})
    most = "must have at most 10 entries"
    unlike = "must be named by 1 to 63 of a-z, 0-9, _ and -, beginning with a letter, and not like a version"
    beyond = [
        (canary(judge={"level": 0.0000009}), "canaries.0.judge.level", "must be a number from 1e-06 to 0.1"),
        (canary(ramp={"to": steps}), "canaries.0.ramp.to", most),
        (canary(ramp={"to": [100.5]}), "canaries.0.ramp.to.0", "must be a number from 0 to 100.0"),
        (canary(ramp={"to": [20], "requests": 10**9 + 1}), "canaries.0.ramp.requests",
         "must be a whole number from 1 to 1000000000"),
        (canary(name="a" * 64), "canaries.0.name", "must be 1 to 63 of a-z, 0-9, _ and -, beginning with a letter"),
        (experiment(*sides(11)), "experiments.0.variants", most),
        (experiment({**VARIANTS[0], "weight": 1_000_001}, VARIANTS[1]), "experiments.0.variants.0.weight",
         "must be a whole number from 1 to 1000000"),
        (experiment({**VARIANTS[0], "version": "1"}, VARIANTS[1]), "experiments.0.variants.0.version",
         "must be three numbers with points between them, like 1.0.0"),
        (shadows(11), "shadows", most), (experiments(11), "experiments", most),
        (shadows(1, 0.001), "shadows.0.percent", "must have at most two digits behind the point"),
        (shadows(1, 100.01), "shadows.0.percent", "must be a number from 0 to 100.0"),
        ({"experiments": [{**EXPERIMENT, "percent": 0.001}]}, "experiments.0.percent",
         "must have at most two digits behind the point"),
        ({"aliases": {"a" * 64: "1.0.0"}}, f"aliases.{'a' * 64}", unlike),
        ({"aliases": {1: "1.0.0"}}, "aliases.1", unlike),
        ({"aliases": {"A": "1.0.0"}}, "aliases.A", unlike), ({"aliases": {"v22": "1.0.0"}}, "aliases.v22", unlike),
    ]  # fmt: skip
    for says, field, issue in beyond:
        assert faults(**says) == [(field, issue)], says


def test_a_share_of_minus_nothing_is_none() -> None:
    found = rules.read({**EVERYTHING, "canaries": [{**CANARY, "percent": -0.0}],
                        "experiments": [{**EXPERIMENT, "percent": -0.0}],
                        "shadows": [{**CANARY, "name": "s", "percent": -0.0}]})  # fmt: skip
    shares = [found.canaries[0].percent, found.experiments[0].percent, found.shadows[0].percent]
    assert list(map(str, shares)) == ["0.0"] * 3
