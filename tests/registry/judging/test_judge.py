"""What is seen of canaries has its consequences at once: worse ones are rolled back, good ones grow."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import errors
from core.audit import Actor
from inference import bundle
from registry import routing
from registry.catalog import Catalog
from registry.judging import judge, trials
from registry.judging.trial import CALIBRATION, SETTLES, Seen, Sums
from registry.routes import Unit
from tests import factories, graphs
from tests.conftest import Platform
from tests.registry.conftest import MakeBundle

ME = Actor("cli:me")
#: Later than any share's beginning, by more than it takes to settle.
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
_numbers = itertools.count()

Route = Callable[..., None]
See = Callable[..., None]


def seen(route: str, *, caller: str = "one", at: dt.datetime = LATER, **how: Any) -> Seen:
    return Seen(route, Unit(f"req_{next(_numbers)}", caller), at, **how)


@pytest.fixture
def name(catalog: Catalog, make_bundle: MakeBundle) -> str:
    """A model with two versions, of which the first is stable."""
    made = [make_bundle(version) for version in ("1.0.0", "2.0.0")]
    for each in made:
        catalog.publish(each)
    return made[0].manifest.name


@pytest.fixture
def route(platform: Platform, name: str) -> Route:
    """Has the model answered by one canary that is as said, or by none."""

    def change(by: str = "request", **canary: Any) -> None:
        canaries = [{"name": "next", "version": "2.0.0", "percent": 10, **canary}]
        with platform.engine.begin() as connection:
            routing.change(connection, name, {"by": by, "canaries": canaries}, ME)

    return change


@pytest.fixture
def see(platform: Platform, name: str) -> See:
    def add(*found: Seen) -> None:
        judge.add(platform.engine, name, found)

    return add


def shown(platform: Platform, name: str) -> trials.Shown:
    with platform.engine.connect() as connection:
        return trials.find(connection, name, "next")


def counts(platform: Platform, name: str, metric: str = "errors") -> tuple[int, int]:
    evidence = shown(platform, name).evidence
    found = evidence["metrics"][metric] if evidence else {"canary": 0, "stable": 0}
    return found["canary"], found["stable"]


def sums(platform: Platform, name: str) -> Sums:
    with platform.engine.begin() as connection:
        plan = routing.held(connection, name)
        [trial] = trials.follow(connection, name, plan.stable, plan.routes)
    return trial.sums


def percent(platform: Platform, name: str) -> float | None:
    with platform.engine.begin() as connection:
        found = routing.current(connection, name).routes.canaries
    return found[0].percent if found else None


def test_a_canary_that_always_fails_is_rolled_back_by_five_failures_and_it_is_written_down(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route()
    for _ in range(4):
        see(seen("stable"), seen("canary next", code="MODEL_ERROR"))
    found = shown(platform, name)
    assert percent(platform, name) is None
    assert (found.state, found.ended_by) == (trials.ROLLED_BACK, "canary judge")
    errors_ = found.evidence["metrics"]["errors"]
    assert (errors_["canary"], errors_["stable"], found.evidence["threshold"]) == (4, 0, 200)
    assert errors_["e"] >= 200
    assert found.evidence["exposed"] == {"canary": 4, "stable": 4}
    told = "SELECT actor FROM audit WHERE object = :object AND action = 'routes.change' ORDER BY id"
    actors = platform.rows(told, object=f"model:{name}")
    assert [actor for (actor,) in actors] == ["cli:me", "canary judge"]


def test_what_fails_as_often_with_the_stable_version_rolls_nothing_back(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route()
    bad = [seen("canary next" if number % 10 == 9 else "stable", code="TIMED_OUT") for number in range(300)]
    see(*bad)
    assert counts(platform, name) == (30, 270)
    assert percent(platform, name) == 10
    assert shown(platform, name).evidence["metrics"]["errors"]["needs"] > 0


@pytest.mark.parametrize("code", ["INVALID_INPUT", "RATE_LIMITED", "UNAVAILABLE", None])
def test_what_is_no_fault_of_the_model_is_not_held_against_it(
    platform: Platform, name: str, route: Route, see: See, code: str | None
) -> None:
    route()
    see(*(seen("canary next", code=code) for _ in range(50)))
    assert counts(platform, name) == (0, 0)
    assert percent(platform, name) == 10


@pytest.mark.parametrize("way", ["canary other", "experiment tone/a", "pinned"])
def test_what_other_rules_led_to_says_nothing_of_a_canary(
    platform: Platform, name: str, route: Route, see: See, way: str
) -> None:
    route()
    see(*(seen(way, code="MODEL_ERROR") for _ in range(50)))
    assert counts(platform, name) == (0, 0)


def test_a_caller_that_keeps_its_version_counts_once_however_often_it_fails(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route(by="caller")
    for _ in range(3):
        see(*(seen("canary next", code="MODEL_ERROR") for _ in range(20)))
    assert counts(platform, name) == (1, 0)
    see(*(seen("canary next", caller=f"c{number}", code="MODEL_ERROR") for number in range(5)))
    assert percent(platform, name) is None


def test_a_request_that_is_seen_again_counts_once(platform: Platform, name: str, route: Route, see: See) -> None:
    route()
    again = seen("canary next", code="MODEL_ERROR")
    see(again, again)
    see(again)
    assert counts(platform, name) == (1, 0)


def test_what_was_asked_before_a_share_holds_everywhere_counts_for_neither(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route()
    since = shown(platform, name).since
    early, late = (since + SETTLES + dt.timedelta(seconds=seconds) for seconds in (-0.01, 0.01))
    see(*(seen("canary next", code="MODEL_ERROR", at=early) for _ in range(50)))
    assert shown(platform, name).evidence == {}
    see(seen("canary next", code="MODEL_ERROR", at=late))
    assert counts(platform, name) == (1, 0)


def test_a_canary_slower_than_the_stable_version_mostly_is_is_rolled_back(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route()
    see(*(seen("canary next", run_s=9.0) for _ in range(50)))
    see(*(seen("stable", run_s=number / 1000) for number in range(CALIBRATION)))
    assert shown(platform, name).evidence["slow_s"] == 0.474
    assert counts(platform, name, "slow") == (0, 0)
    assert sums(platform, name).sample == [], "what it was found by is kept no longer"
    see(seen("canary next", run_s=0.474), *(seen("canary next", run_s=0.475) for _ in range(4)))
    assert (percent(platform, name), shown(platform, name).state) == (None, trials.ROLLED_BACK)
    assert counts(platform, name, "slow") == (4, 0)


def test_a_judge_that_does_not_act_only_says_what_it_sees(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route(judge={"acts": False})
    see(*(seen("canary next", code="MODEL_ERROR") for _ in range(500)))
    assert percent(platform, name) == 10
    assert shown(platform, name).evidence["metrics"]["errors"]["e"] > 1e300


@pytest.mark.parametrize(
    "change",
    [{"version": "1.5.0"}, {"by": "caller"}, {"judge": {"tolerance": 2}}, {"judge": {"level": 0.001}}],
)
def test_a_trial_begins_anew_when_what_is_compared_or_how_changes(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, name: str, route: Route, see: See,
    change: dict[str, Any],
) -> None:  # fmt: skip
    catalog.publish(make_bundle("1.5.0"))
    route()
    bad = seen("canary next", code="MODEL_ERROR")
    see(bad)
    route(**change)
    assert shown(platform, name).evidence == {}
    see(bad)
    assert counts(platform, name) == (1, 0)


def test_a_trial_goes_on_when_only_its_share_changes(platform: Platform, name: str, route: Route, see: See) -> None:
    route()
    see(seen("canary next", code="MODEL_ERROR"))
    route(percent=20)
    see(seen("stable", code="MODEL_ERROR"))
    assert (counts(platform, name), shown(platform, name).evidence["share"]) == ((1, 1), 0.2)


def test_a_stable_version_that_is_another_since_is_another_comparison(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, name: str, route: Route, see: See
) -> None:
    route()
    see(seen("canary next", code="MODEL_ERROR"))
    catalog.publish(make_bundle("1.0.1"), stable=True)
    see(seen("stable"))
    assert (counts(platform, name), shown(platform, name).stable) == ((0, 0), "1.0.1")


def test_a_name_that_is_tried_again_shows_nothing_of_the_trial_that_ended(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    bad = [seen("canary next", code="MODEL_ERROR") for _ in range(6)]
    route()
    see(*bad)
    last = shown(platform, name)
    assert (last.state, last.ended_at is not None) == (trials.ROLLED_BACK, True)
    route()
    found = shown(platform, name)
    assert (found.state, found.ended_at, found.ended_by, found.evidence) == (trials.RUNNING, None, None, {})
    assert found.since > last.since
    # Nor is a request known any more that failed then.
    see(bad[0])
    assert counts(platform, name) == (1, 0)


RAMP = {"to": [50, 99], "requests": 20, "then": "promote"}


def test_a_good_canary_grows_step_by_step_and_is_promoted(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route(ramp=RAMP)
    found = []
    for _ in range(4):
        see(*(seen("canary next") for _ in range(19)))
        found.append(percent(platform, name))
        see(seen("canary next"))
    assert found == [10, 50, 99, None]
    with platform.engine.begin() as connection:
        assert routing.current(connection, name).stable == "2.0.0"
    assert shown(platform, name).state == trials.PROMOTED


def test_one_that_has_all_of_the_traffic_is_compared_with_nothing_and_not_promoted(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    """As it was stored when that could be said."""
    route(ramp=RAMP)
    (stored,) = platform.one("SELECT routes FROM models WHERE name = :name", name=name)
    [canary] = stored["canaries"]
    canary |= {"percent": 100.0, "ramp": {**RAMP, "to": [50, 100]}}
    told = {"routes": json.dumps({**stored, "canaries": [canary]}), "name": name}
    platform.execute("UPDATE models SET routes = CAST(:routes AS json) WHERE name = :name", **told)
    see(seen("canary next", code="MODEL_ERROR"))
    see(*(seen("canary next", code="MODEL_ERROR") for _ in range(40)))
    assert percent(platform, name) == 100
    assert shown(platform, name).state == trials.RUNNING


def test_one_that_is_to_be_held_stays_at_its_last_share(platform: Platform, name: str, route: Route, see: See) -> None:
    route(ramp={"to": [50], "requests": 20})
    for _ in range(3):
        see(*(seen("canary next") for _ in range(20)))
    assert percent(platform, name) == 50


def test_a_canary_does_not_grow_while_what_was_seen_speaks_against_it(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route(ramp=RAMP)
    see(seen("canary next", code="MODEL_ERROR"), *(seen("canary next") for _ in range(50)))
    assert percent(platform, name) == 10
    see(*(seen("stable", code="MODEL_ERROR") for _ in range(30)))
    assert percent(platform, name) == 50


def test_what_a_person_ends_says_so_and_a_name_that_had_none_is_refused(
    platform: Platform, name: str, route: Route
) -> None:
    route()
    with platform.engine.begin() as connection:
        routing.end(connection, name, "next", ME, promoted=True)
    found = shown(platform, name)
    assert (found.state, found.ended_by) == (trials.PROMOTED, "cli:me")
    with platform.engine.connect() as connection, pytest.raises(errors.InvalidInput):
        trials.find(connection, name, "nothing")


def test_a_canary_is_rolled_back_whatever_has_become_of_the_rest(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route()
    platform.execute("UPDATE model_versions SET deprecated_at = now() WHERE model = :name", name=name)
    see(*(seen("canary next", code="MODEL_ERROR") for _ in range(5)))
    assert percent(platform, name) is None


@pytest.mark.parametrize(("by", "left"), [("request", 1), ("caller", 2)])
def test_requests_that_failed_long_ago_are_forgotten_and_callers_stay_as_long_as_the_trial(
    platform: Platform, name: str, route: Route, see: See, by: str, left: int
) -> None:
    route(by)
    see(*(seen("stable", caller=f"c{number}", code="MODEL_ERROR") for number in range(2)))
    rows = "SELECT count(*)::int FROM canary_units WHERE model = :model"
    assert platform.one(rows, model=name) == (2,)
    trials.purge(platform.engine)
    assert platform.one(rows, model=name) == (2,)
    platform.execute(
        "UPDATE canary_units SET gone_at = gone_at - interval '1 h' WHERE unit = (SELECT min(unit) FROM canary_units"
        " WHERE model = :model) AND model = :model",
        model=name,
    )
    trials.purge(platform.engine)
    assert platform.one(rows, model=name) == (left,)


def test_what_is_known_of_another_model_s_canary_of_the_same_name_stays(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, name: str, route: Route, see: See, tmp_path: Path
) -> None:
    other = factories.unique("tiny").lower()
    for version in ("1.0.0", "2.0.0"):
        catalog.publish(bundle.load(graphs.bundle(tmp_path / version, name=other, version=version)))
    with platform.engine.begin() as connection:
        canary = {"name": "next", "version": "2.0.0", "percent": 10}
        routing.change(connection, other, {"canaries": [canary]}, ME)
    route()
    see(seen("stable", code="MODEL_ERROR"))
    judge.add(platform.engine, other, [seen("stable", code="MODEL_ERROR")])
    with platform.engine.begin() as connection:
        routing.change(connection, other, {}, ME)
    left = "SELECT model FROM canary_units WHERE model IN (:mine, :other)"
    assert platform.rows(left, mine=name, other=other) == [(name,)]


def test_what_became_of_a_canary_is_shown_for_ninety_days_and_one_that_runs_for_ever(
    platform: Platform, name: str, route: Route, see: See
) -> None:
    route()
    platform.execute("UPDATE canaries SET since = since - interval '1 year' WHERE model = :model", model=name)
    trials.purge(platform.engine)
    see(*(seen("canary next", code="MODEL_ERROR") for _ in range(5)))
    for ago, shown in (("89 days 23 hours", ["rolled_back"]), ("1 hour 1 minute", [])):
        ended = "UPDATE canaries SET ended_at = ended_at - CAST(:ago AS interval) WHERE model = :model"
        platform.execute(ended, ago=ago, model=name)
        trials.purge(platform.engine)
        with platform.engine.connect() as connection:
            assert [item.state for item in trials.listed(connection, name)] == shown


def test_of_many_canaries_those_that_run_and_those_that_ended_last_are_shown(
    platform: Platform, name: str, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "MOST_SHOWN", 2)
    with platform.engine.begin() as connection:
        for told in ("c", "b", "a"):
            canary = {"name": told, "version": "2.0.0", "percent": 1}
            routing.change(connection, name, {"canaries": [canary]}, ME)
    with platform.engine.begin() as connection:
        assert [item.canary for item in trials.listed(connection, name)] == ["a", "b"]
        # Who asks for one by its name is told of it.
        assert trials.find(connection, name, "c").state == trials.REMOVED


def test_what_was_seen_beside_the_version_that_was_stable_ends_no_canary_after_a_promotion(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, name: str, see: See
) -> None:
    catalog.publish(make_bundle("3.0.0"))
    good = {"name": "good", "version": "2.0.0", "percent": 40, "ramp": {"to": [40], "requests": 1, "then": "promote"}}
    bad = {"name": "next", "version": "3.0.0", "percent": 10}
    with platform.engine.begin() as connection:
        routing.change(connection, name, {"canaries": [good, bad]}, ME)
    see(seen("canary good"), *(seen("canary next", code="MODEL_ERROR") for _ in range(6)))
    with platform.engine.connect() as connection:
        plan = routing.current(connection, name)
    assert (plan.stable, [item.name for item in plan.routes.canaries]) == ("2.0.0", ["next"])
    found = shown(platform, name)
    assert (found.state, found.stable, found.evidence) == (trials.RUNNING, "2.0.0", {})


def test_a_promotion_that_cannot_be_made_is_in_no_other_canary_s_way(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, name: str, see: See
) -> None:
    catalog.publish(make_bundle("3.0.0"))
    ramp = {"to": [40], "requests": 1, "then": "promote"}
    good = {"name": "good", "version": "2.0.0", "percent": 40, "judge": {"acts": True}}
    bad = {"name": "next", "version": "3.0.0", "percent": 10}
    with platform.engine.begin() as connection:
        routing.change(connection, name, {"canaries": [{**good, "percent": 1, "ramp": ramp}, bad]}, ME)
    see(seen("canary good"), seen("canary good"))
    # It would be promoted now, and may not be: somebody says that it is on its way out.
    platform.execute(
        "UPDATE model_versions SET deprecated_at = now() WHERE model = :model AND version = '2.0.0'", model=name
    )
    for _ in range(6):
        see(seen("canary good"), seen("stable"), seen("canary next", code="MODEL_ERROR"))
    assert shown(platform, name).state == trials.ROLLED_BACK
    with platform.engine.connect() as connection:
        plan = routing.current(connection, name)
    assert (plan.stable, [item.name for item in plan.routes.canaries]) == ("1.0.0", ["good"])
