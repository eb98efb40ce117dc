"""What a process sees of canaries: what is part of a trial, and that through an outage of the database."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import exc

from core.audit import Actor
from registry import routing
from registry.catalog import Catalog
from registry.judging import judge
from registry.judging.witness import Sight, Witness
from registry.routes import Unit
from tests.conftest import Platform
from tests.registry.conftest import MakeBundle


def test_only_what_is_part_of_a_trial_is_watched_and_it_is_kept_through_an_outage(
    platform: Platform, catalog: Catalog, make_bundle: MakeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [make_bundle(version) for version in ("1.0.0", "2.0.0")]
    for bundle in made:
        catalog.publish(bundle)
    name, witness = made[0].manifest.name, Witness(platform.engine, catalog, platform.clock)
    assert not witness.watches(name, "stable")
    with platform.engine.begin() as connection:
        raw = {"canaries": [{"name": "next", "version": "2.0.0", "percent": 10}]}
        routing.change(connection, name, raw, Actor("cli:me"))
    catalog._forget()
    watched = {way: witness.watches(name, way) for way in ("stable", "canary next", "pinned", "experiment a/b", None)}
    assert watched == {"stable": True, "canary next": True, "pinned": False, "experiment a/b": False, None: False}

    added: list[int] = []

    def away(*_: Any) -> None:
        raise exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(judge, "add", away)
    for number in range(3):
        witness._sights.append(Sight(name, "stable", Unit(f"req_{number}", "c"), 0.0))
    with pytest.raises(exc.OperationalError):
        witness.flush()
    monkeypatch.setattr(judge, "add", lambda _engine, _model, seen: added.append(len(seen)))
    witness.flush()
    witness.flush()
    assert added == [3]

    def broken(*_: Any) -> None:
        raise ZeroDivisionError

    # What cannot be added at all is in nobody's way.
    monkeypatch.setattr(judge, "add", broken)
    for model in (name, "another"):
        witness._sights.append(Sight(model, "stable", Unit("req_9", "c"), 0.0))
    with pytest.raises(ZeroDivisionError):
        witness.flush()
    assert [sight.model for sight in witness._sights] == ["another"]
