from __future__ import annotations

import json

from tests import engines
from tests.conftest import Platform
from tests.engines import Engines


def test_engines_that_are_kept_running_hold_the_tables_and_the_bundles(platform: Platform) -> None:
    assert platform.one("SELECT count(*) > 3 FROM model_versions") == (True,)


def test_engines_that_run_already_are_found_where_they_are(throwaway: Engines) -> None:
    pids = throwaway.folder / "pids.json"
    pids.write_text(json.dumps({name: child.pid for name, child in throwaway.running.items()}))
    with engines.adopted(throwaway.folder) as found:
        assert found.state.ports == throwaway.state.ports
        assert [name for name, engine in found.known.items() if not engine.ready()] == []
