"""Operators say who gets which version in a file, see what that changes before it does, and can say why somebody got
what they got."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.cli.conftest import Done, Here
from tests.conftest import until

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def name(here: Here) -> str:
    """A model with two versions."""
    found = here.published()
    assert here("models", "push", here.model(found, "1.1.0")).code == 0
    return found


def apply(here: Here, said: str, *words: str) -> Done:
    file = Path(here.folder) / "routes.yaml"
    file.write_text(said)
    return here("apply", "-f", str(file), *words)


def with_canary(name: str, percent: object = 10) -> str:
    return f"models:\n  {name}:\n    canaries:\n      - {{name: next, version: 1.1.0, percent: {percent}}}\n"


def test_a_plan_says_what_would_change_and_applying_it_twice_changes_nothing_more(here: Here, name: str) -> None:
    line = f"{name}: + canary next: 1.1.0, 10 %\n"
    planned = apply(here, with_canary(name), "--dry-run")
    assert (planned.code, planned.out) == (0, line)
    assert "nothing was changed" in planned.err
    assert apply(here, with_canary(name)).out == line
    again = apply(here, with_canary(name))
    assert (again.out, "nothing changes" in again.err) == ("", True)
    assert apply(here, with_canary(name, 25)).out == f"{name}: ~ canary next: 1.1.0, 10 % → 1.1.0, 25 %\n"
    shown = here("routes", "show", name).out.splitlines()
    assert [line.split(maxsplit=1)[0] for line in shown[1:]] == ["stable", "by", "canary"]
    assert apply(here, f"models: {{{name}: {{}}}}\n").out == f"{name}: - canary next: 1.1.0, 25 %\n"


def test_of_several_models_all_are_changed_or_none(here: Here, name: str) -> None:
    done = apply(here, with_canary(name) + "  nothing-such: {}\n")
    assert (done.code, "There is no model 'nothing-such'" in done.err) == (1, True)
    assert "canary" not in here("routes", "show", name).out


def test_two_who_change_several_models_at_once_wait_for_each_other_in_one_order(here: Here, name: str) -> None:
    first, last = sorted([name, here.published()])
    file = "models:\n" + "".join(f"  {model}: {{aliases: {{old: 1.0.0}}}}\n" for model in (last, first))
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM models%'"
    hold = text("SELECT FROM models WHERE name = :name FOR UPDATE NOWAIT")
    with ThreadPoolExecutor(1) as pool:
        with here.platform.admin.begin() as another:
            another.execute(hold, {"name": first})
            applying = pool.submit(apply, here, file)
            until(lambda: applying.done() or here.platform.rows(waits))
            assert not applying.done()
            # Or each would have what the other waits for.
            another.execute(hold, {"name": last})
        assert applying.result(60).code == 0


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("[", "cannot be read, line 1"),
        ("", "is empty"),
        ("models: []\n", "must be a mapping with the key models"),
        ("model: {}\n", "must be a mapping with the key models"),
        ("models: {sentiment: {canaries: [{name: a}]}}\n", "sentiment: canaries.0.version is missing"),
        ("models: {sentiment: {canary: []}}\n", "sentiment: canary is unknown; there are: by, "),
        ("models: {sentiment: 1}\n", "sentiment: routes must be a mapping"),
        ("models: {1: {}}\n", "is no text as a key"),
        ('models: {"a\\0": {}}\n', "models: 'a\\x00' must be 1 to 63 of a-z"),
        ("models: {Sentiment: {}}\n", "models: 'Sentiment' must be 1 to 63 of a-z"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_sentence_and_changes_nothing(here: Here, said: str, says: str) -> None:
    done = apply(here, said)
    assert (done.code, done.out) == (1, "")
    assert says in done.err, done.err
    assert "Traceback" not in done.err


def test_why_somebody_got_a_version_can_be_said_offline(here: Here, name: str) -> None:
    apply(here, with_canary(name, 50))
    units = [f"req_{number}" for number in range(20)]
    keys = [word for unit in units for word in ("--key", unit)]
    done = here("routes", "explain", name, *keys, "--json")
    found = json.loads(done.out)
    assert [item["key"] for item in found] == units
    assert {(item["version"], item["route"]) for item in found} == {("1.0.0", "stable"), ("1.1.0", "canary next")}
    assert json.loads(here("routes", "explain", name, *keys, "--json").out) == found
    assert here("routes", "explain", name, *keys).err.count(":") == 2


@pytest.mark.parametrize(("command", "stable"), [("promote", "1.1.0"), ("rollback", "1.0.0")])
def test_a_canary_ends_by_one_command(here: Here, name: str, command: str, stable: str) -> None:
    apply(here, with_canary(name))
    done = here("routes", command, name, "next")
    assert f"{name}: - canary next: 1.1.0, 10 %" in done.out
    shown = json.loads(here("routes", "show", name, "--json").out)
    assert (shown["stable"], shown["canaries"]) == (stable, [])
    again = here("routes", command, name, "next")
    assert (again.code, "has no canary 'next'" in again.err) == (1, True)
