"""What commands print for people: which columns there are, and what stands in them."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

import models
from access import tiers
from core import audit
from registry import routing
from tests import callers, factories
from tests.cli.conftest import Here

pytestmark = pytest.mark.usefixtures("quiet")


def cells(text: str) -> list[list[str]]:
    """Each line of a table, by its columns."""
    return [re.split(r"\s{2,}", line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("jobs", "job status progress model accepted why"),
        ("models list", "model version stable deprecated kind pool inline digest"),
        ("keys list", "id tenant tier name scopes only created used expires"),
        ("keys list --all", "id tenant tier name scopes only created used expires revoked"),
        ("blocks list", "subject tenant level reason since until"),
        ("tenants list", "tenant tier keys created"),
        ("tenants show {tenant}", "tenant tier keys created units this month"),
        ("tiers list", f"tier {' '.join(tiers.COLUMNS[1:])}"),
        ("tiers show free", "limit of this tier"),
        ("usage --by model,kind", "tenant model kind calls units price"),
        ("routes show sentiment", "part is"),
        ("routes explain sentiment --key a", "key version route"),
        ("routes shadows", "model shadow pairs last"),
        ("routes quality sentiment", "version what is"),
    ],
)
def test_each_column_of_a_list_for_people_says_what_is_in_it(here: Here, command: str, headings: str) -> None:
    done = here(*command.format(tenant=here.key.tenant).split())
    assert done.out.splitlines()[0].split() == headings.split()


def shown(value: Any) -> str:
    """As a fact of a report is shown."""
    if isinstance(value, dict):
        around = "" if value["low"] is None else f" ({value['low']:.4g} to {value['high']:.4g})"
        return f"{value['value']:.4g}{around}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def test_how_often_a_model_was_right_is_told_a_fact_a_line(here: Here) -> None:
    for label, sure in (("a", 0.91234), ("b", 0.81234), ("b", 0.71234)):
        said: dict[str, Any] = {"label": label, "confidence": sure, "true_label": "b"}
        factories.add(here.platform, models.Feedback, job_id=uuid.uuid4(), **said)
    said = {"version": "2.1.0", "label": None, "true_label": None, "number": 2.51234, "true_number": 2.0}
    factories.add(here.platform, models.Feedback, job_id=uuid.uuid4(), **said)
    words = ("routes", "quality", "sentiment")
    [first, second] = json.loads(here(*words, "--json").out)["versions"]
    labels, numbers = first["labels"], second["numbers"]
    assert labels["accuracy"]["low"] is not None
    assert numbers["bias"]["low"] is None
    assert cells(here(*words).out)[1:] == [
        ["1.0.0", "version", "1.0.0"], ["1.0.0", "judged", "3"],
        *(["1.0.0", f"labels {name}", shown(labels[name])] for name in ("accuracy", "brier", "calibration_error")),
        ["2.1.0", "version", "2.1.0"], ["2.1.0", "judged", "1"],
        *(["2.1.0", f"numbers {name}", shown(value)] for name, value in numbers.items()),
    ]  # fmt: skip


def test_a_shadow_is_compared_a_fact_a_line_and_one_of_an_unknown_model_is_said_to_be(here: Here) -> None:
    name = callers.name("next")
    for label in ("positive", "negative"):
        factories.add(here.platform, models.ShadowPair, name=name, stable_confidence=0.75, shadow_confidence=0.5,
                      shadow_label=label)  # fmt: skip
    report = json.loads(here("routes", "shadow", "sentiment", name, "--json").out)
    head, *rows = cells(here("routes", "shadow", "sentiment", name).out)
    found = {row[0]: row[1] for row in rows}
    assert head == ["what", "is"]
    assert list(found)[:6] == ["model", "shadow", "version", "stable_version", "pairs", "compared"]
    assert (found["shadow"], found["pairs"], found["compared"]) == (name, "2", "2")
    labels = report["labels"]
    assert found["labels agreement"] == shown(labels["agreement"])
    assert found["labels confidence shift"] == shown(labels["confidence"]["shift"])
    assert not [what for what in found if what.split()[-1] == "confusion" or "histogram" in what]
    assert "disagreements" not in found
    (listed,) = [row for row in cells(here("routes", "shadows").out) if row[1] == name]
    assert listed[:3] == ["sentiment", name, "2"]
    refused = json.loads(here("routes", "shadow", "nosuch", name, "--json").err)["error"]
    assert refused["code"] == "MODEL_NOT_FOUND"


@pytest.fixture
def name(here: Here) -> str:
    """A model with a canary, `next`, that grows."""
    found = here.published()
    assert here("models", "push", here.model(found, "1.1.0")).code == 0
    assert apply(here, found, 5).code == 0
    return found


def apply(here: Here, name: str, percent: int) -> Any:
    file = here.folder / "routes.yaml"
    ramp = "ramp: {to: [20, 50], requests: 10}"
    file.write_text(f"models: {{{name}: {{canaries: [{{name: next, version: 1.1.0, percent: {percent}, {ramp}}}]}}}}")
    return here("apply", "-f", str(file))


EVIDENCE = {
    "threshold": 20.0,
    "metrics": {
        "errors": {"canary": 3, "stable": 1, "e": 1.5, "needs": 120},
        "labels": {"canary": 0.25, "stable": 0.5, "e": 0.125, "needs": None},
    },
}


def test_what_was_seen_of_a_canary_is_told_while_it_runs_and_afterwards(here: Here, name: str) -> None:
    canary = ("routes", "canary", name, "next")
    assert cells(here(*canary).out)[1:] == [["metric", "canary", "stable", "e", "threshold", "needs"]]
    save = "UPDATE canaries SET evidence = CAST(:evidence AS json) WHERE model = :model"
    here.platform.execute(save, evidence=json.dumps(EVIDENCE), model=name)
    said, _, errors, labels = here(*canary).out.splitlines()
    assert said == f"{name} 1.1.0 beside 1.0.0: running, inconclusive"
    assert cells(errors) == [["errors", "3", "1", "1.5", "20", "about 120 more"]]
    assert cells(labels) == [["labels", "0.25", "0.5", "0.125", "20"]]
    ended = here("routes", "rollback", name, "next")
    assert (ended.code, ended.err) == (0, "")
    said, _, errors, _ = here(*canary).out.splitlines()
    assert said == f"{name} 1.1.0 beside 1.0.0: rolled back by {audit.operator().name}"
    assert cells(errors) == [["errors", "3", "1", "1.5", "20"]]


def test_a_canary_that_its_ramp_has_grown_is_said_to_keep_its_share(here: Here, name: str) -> None:
    with here.platform.engine.begin() as connection:
        plan = routing.held(connection, name)
        routing.grow(connection, name, plan, plan.routes.canaries[0], 20, audit.operator())
    done = apply(here, name, 5)
    assert done.out.startswith(f"{name}: = canary next keeps what its ramp has come to: 1.1.0, 20 %")
    assert done.err == "nothing changes\n"


def test_whether_routes_were_changed_is_told_to_programs(here: Here, name: str) -> None:
    file = here.folder / "none.yaml"
    file.write_text(f"models: {{{name}: {{}}}}")
    planned = json.loads(here("apply", "-f", str(file), "--dry-run", "--json").out)
    assert [(item["part"], item["after"]) for item in planned["changes"][name]] == [("canary next", None)]
    ended = json.loads(here("routes", "promote", name, "next", "--json").out)
    assert (planned["applied"], ended["applied"]) == (False, True)


@pytest.mark.parametrize(
    ("text", "code", "details"),
    [
        ("[", "FILE", {}),
        ("model: {}", "FILE", {}),
        ("models: {Sentiment: {}}", "FILE", {}),
        ("models: {sentiment: {canaries: 1}}", "INVALID_INPUT", {"field": "canaries"}),
    ],
)
def test_what_is_wrong_with_a_file_of_routes_is_told_by_its_code(
    here: Here, text: str, code: str, details: dict[str, str]
) -> None:
    (here.folder / "odd.yaml").write_text(text)
    error = json.loads(here("apply", "-f", "odd.yaml", "--json").err)["error"]
    assert (error["code"], {**error["details"], **details}) == (code, error["details"])


def test_who_got_what_is_counted_where_several_are_asked_for(here: Here) -> None:
    explain = ("routes", "explain", "sentiment", "--key", "a")
    assert here(*explain).err == ""
    assert here(*explain, "--key", "b").err == "stable: 2\n"
