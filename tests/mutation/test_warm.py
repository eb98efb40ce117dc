from __future__ import annotations

from tests.conftest import Platform


def test_engines_that_are_kept_running_hold_the_tables_and_the_bundles(platform: Platform) -> None:
    assert platform.one("SELECT count(*) > 3 FROM model_versions") == (True,)
