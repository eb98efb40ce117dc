"""What a request means that names a model, or none; and what is said to one that means nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core import errors
from inference.manifest import Manifest
from registry import choice
from registry.routes import Canary, Routes, Shadow, Unit
from registry.versions import Listed, Mirror, Version
from tests import graphs


def published(*names: str, versions: tuple[str, ...] = ("1.0.0",)) -> choice.Known:
    manifest = Manifest.from_dict(graphs.manifest())

    def listed(name: str) -> Listed:
        return Listed(
            {version: Version(name, version, "digest", manifest, version == versions[0]) for version in versions}
        )

    return {name: listed(name) for name in names}


THOUSAND = published(*(f"churn-{number}-{'x' * 40}" for number in range(1000)))


def issue(ask: Callable[[], object], kind: type[errors.CoatcheckError], field: str, *see: str) -> str:
    with pytest.raises(kind) as refused:
        ask()
    assert (type(refused.value), refused.value.details["field"], refused.value.see) == (kind, field, see)
    return str(refused.value.details["issue"])


def test_the_only_model_answers_who_names_none() -> None:
    assert choice.default(published("churn"), "") == "churn"


def test_where_there_are_several_the_one_that_was_chosen_answers_and_else_none() -> None:
    known = published("churn", "sentiment")
    assert choice.default(known, "sentiment") == "sentiment"
    told = issue(lambda: choice.default(known, ""), errors.InvalidInput, "model")
    assert told == "is required: no default is set. There are 2: churn, sentiment"


@pytest.mark.parametrize("others", [("churn",), ("churn", "tumor")])
def test_no_other_answers_in_place_of_the_one_that_was_chosen(others: tuple[str, ...]) -> None:
    told = issue(lambda: choice.default(published(*others), "sentiment"), errors.InvalidInput, "model")
    assert told.startswith("is required: the default that is set, 'sentiment', is not published. There are ")


@pytest.mark.parametrize("chosen", ["", "sentiment"])
def test_where_nothing_is_published_that_is_said(chosen: str) -> None:
    told = issue(lambda: choice.default({}, chosen), errors.ModelNotFound, "model")
    assert told == "no model is published yet"


def test_a_name_that_is_nearly_right_is_told_what_was_meant() -> None:
    known = published("churn", "sentiment", versions=("1.0.0", "2.1.0"))
    told = issue(lambda: choice.resolved(known, "sentimnet", None), errors.ModelNotFound, "model")
    assert told == "'sentimnet' is not published; did you mean sentiment? There are 2: churn, sentiment"
    told = issue(lambda: choice.resolved(known, "churn", "2.1.1"), errors.VersionNotFound, "model_version", "churn")
    assert told == "churn has no version '2.1.1'; did you mean 2.1.0? There are 2: 1.0.0, 2.1.0"
    assert "did you mean" not in issue(lambda: choice.resolved(known, "x", None), errors.ModelNotFound, "model")


def test_what_is_longer_than_any_name_is_not_compared_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(choice, "difflib")
    known, long = published("churn"), "churn" * 100_000
    assert "did you mean" not in issue(lambda: choice.resolved(known, long, None), errors.ModelNotFound, "model")
    told = issue(lambda: choice.resolved(known, "churn", long), errors.VersionNotFound, "model_version", "churn")
    assert "did you mean" not in told


@pytest.mark.parametrize(("more", "told"), [(0, True), (1, False)])
def test_what_is_as_long_as_a_name_and_one_more_is_compared_and_no_longer_one(more: int, told: bool) -> None:
    known = published("c" * 63)
    said = issue(lambda: choice.resolved(known, "c" * (64 + more), None), errors.ModelNotFound, "model")
    assert ("did you mean" in said) is told


def test_of_names_that_may_have_been_meant_three_are_told() -> None:
    known = published(*(f"churn-{letter}" for letter in "abcde"))
    told = issue(lambda: choice.resolved(known, "churn-x", None), errors.ModelNotFound, "model")
    assert told.partition("; did you mean ")[2].partition("?")[0].count(" or ") == 2


def test_where_a_rule_leads_to_a_version_that_is_gone_the_stable_one_answers_and_nobody_is_asked_beside_it() -> None:
    [listed] = published("churn", versions=("1.0.0", "2.0.0")).values()
    shadows = (Shadow("there", "2.0.0", 100.0), Shadow("gone", "3.0.0", 100.0))
    routes = Routes(canaries=(Canary("next", "3.0.0", 100.0),), shadows=shadows)
    known = {"churn": Listed(listed.versions, routes)}
    found = choice.resolved(known, "churn", None, Unit("r", "c"))
    pool = listed.versions["2.0.0"].manifest.pool
    assert (found.version, found.route, found.mirrors) == ("1.0.0", "stable", (Mirror("there", "2.0.0", pool),))


@pytest.mark.parametrize(("count", "ends"), [(10, "There are 10: a, b, c, d, e, f, g, h, i, j"), (11, "j, …")])
def test_that_there_are_more_than_are_told_is_told(count: int, ends: str) -> None:
    told = issue(lambda: choice.default(published(*"abcdefghijk"[:count]), ""), errors.InvalidInput, "model")
    assert told.endswith(ends)


def test_of_a_thousand_models_a_few_are_told() -> None:
    told = issue(lambda: choice.resolved(THOUSAND, "churn-7", None), errors.ModelNotFound, "model")
    assert len(told) <= errors.MAX_FACT + 1
    assert "There are 1000: churn-0-" in issue(lambda: choice.default(THOUSAND, ""), errors.InvalidInput, "model")
