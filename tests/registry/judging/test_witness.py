"""What a process sees of canaries: what is part of a trial, and that through an outage of the database."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc

from core import errors
from core.audit import Actor
from registry import routing
from registry.catalog import Catalog
from registry.judging import judge, witness
from registry.judging.trial import Seen
from registry.judging.witness import Sight, Witness
from registry.routes import Unit
from tests.conftest import Platform, until
from tests.registry.conftest import MakeBundle


def test_only_what_is_part_of_a_trial_is_watched_and_it_is_kept_through_an_outage(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_bundle(version) for version in ("1.0.0", "2.0.0")]
    for bundle in made:
        catalog.publish(bundle)
    name, watcher = made[0].manifest.name, Witness(platform.engine, catalog, platform.clock)
    assert not watcher.watches(name, "stable")
    with platform.engine.begin() as connection:
        raw = {"canaries": [{"name": "next", "version": "2.0.0", "percent": 10}]}
        routing.change(connection, name, raw, Actor("cli:me"))
    catalog._forget()
    watched = {way: watcher.watches(name, way) for way in ("stable", "canary next", "pinned", "experiment a/b", None)}
    assert watched == {"stable": True, "canary next": True, "pinned": False, "experiment a/b": False, None: False}

    added: list[int] = []

    def away(*_: Any) -> None:
        raise exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(judge, "add", away)
    for number in range(3):
        watcher._sights.append(Sight(name, "stable", Unit(f"req_{number}", "c"), 0.0))
    with pytest.raises(exc.OperationalError):
        watcher.flush()
    monkeypatch.setattr(judge, "add", lambda _engine, _model, seen: added.append(len(seen)))
    watcher.flush()
    watcher.flush()
    assert added == [3]

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    # What cannot be added at all is in nobody's way.
    monkeypatch.setattr(judge, "add", broken)
    for model in (name, "another"):
        watcher._sights.append(Sight(model, "stable", Unit("req_9", "c"), 0.0))
    with pytest.raises(ZeroDivisionError):
        watcher.flush()
    assert [sight.model for sight in watcher._sights] == ["another"]


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Seen]:
    """What is added to the trials of any model."""
    found: list[Seen] = []
    real = judge.add

    def add(engine: sqlalchemy.Engine, model: str, seen: Sequence[Seen]) -> None:
        if model == "m":
            found.extend(seen)
        else:  # another witness of this process
            real(engine, model, seen)

    monkeypatch.setattr(judge, "add", add)
    return found


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who begins to watch tells what it saw when it ends, or is told to. FLUSH_S is also read by others, who go on."""
    monkeypatch.setattr(Witness, "_always", lambda self: self._closing.wait())


def sight(request: str, asked: float | dt.datetime = 0.0) -> Sight:
    return Sight("m", "stable", Unit(request, "caller"), asked, 0.5, "MODEL_ERROR")


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "witness"]


def test_what_was_seen_is_told_in_the_order_in_which_it_was_asked_by_the_database_s_clock(
    platform: Platform, catalog: Catalog, judged: list[Seen], patient: None
) -> None:
    made, now = Witness(platform.engine, catalog, platform.clock), platform.clock.now()
    for request, ago_s in (("second", 100.0), ("third", 50.0)):
        made.add(sight(request, time.perf_counter() - ago_s))
    made.add(sight("first", now - dt.timedelta(seconds=200)))
    made.flush()
    assert [(item.unit.request, round((now - item.asked_at).total_seconds(), -1)) for item in judged] == [
        ("first", 200), ("second", 100), ("third", 50),
    ]  # fmt: skip
    assert {(item.route, item.run_s, item.code) for item in judged} == {("stable", 0.5, "MODEL_ERROR")}
    made.close()


def test_what_was_seen_last_is_told_when_a_process_ends_and_nothing_goes_on_then(
    platform: Platform, catalog: Catalog, judged: list[Seen], patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "MOST", 2)
    made, before = Witness(platform.engine, catalog, platform.clock), threads()
    for request in "abc":
        made.add(sight(request))
    [own] = [thread for thread in threads() if thread not in before]
    assert own.daemon
    made.close()
    # Of more than it keeps, the oldest are dropped.
    assert sorted(item.unit.request for item in judged) == ["b", "c"]
    assert threads() == before


@pytest.mark.parametrize(("meanwhile", "kept"), [("", "bc"), ("d", "cd"), ("de", "de")])
def test_of_what_was_seen_before_and_in_an_outage_the_newest_is_kept(
    platform: Platform, catalog: Catalog, monkeypatch: pytest.MonkeyPatch, patient: None, meanwhile: str, kept: str
) -> None:
    monkeypatch.setattr(witness, "MOST", 2)
    made = Witness(platform.engine, catalog, platform.clock)
    for request in "abc":
        made.add(sight(request))

    def away(*_: object) -> None:
        for request in meanwhile:
            made.add(sight(request))
        raise errors.Unavailable

    monkeypatch.setattr(judge, "add", away)
    with pytest.raises(errors.Unavailable):
        made.flush()
    told: list[str] = []
    monkeypatch.setattr(judge, "add", lambda _engine, _model, seen: told.extend(item.unit.request for item in seen))
    made.close()
    assert "".join(sorted(told)) == kept


def test_an_outage_or_what_nobody_foresaw_ends_no_witness(
    platform: Platform, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "FLUSH_S", 0.01)
    faults: list[Exception] = [exc.OperationalError("", {}, Exception()), ZeroDivisionError()]
    told: list[str] = []

    def add(_engine: object, _model: str, seen: Sequence[Seen]) -> None:
        if faults:
            raise faults.pop(0)
        told.extend(item.unit.request for item in seen)

    monkeypatch.setattr(judge, "add", add)
    made = Witness(platform.engine, catalog, platform.clock)
    made.add(sight("lost"))
    until(lambda: not faults)
    made.add(sight("told"))
    until(lambda: told)
    made.close()
    assert told == ["told"]
