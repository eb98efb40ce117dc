"""A new version comes, is tried, promoted, taken back and retired while clients go on asking two processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from access import keys
from local import platform_processes
from local.child import Child
from local.state import held_port
from registry.catalog import Catalog
from tests import factories, rollout
from tests.conftest import Platform, until


@pytest.mark.usefixtures("quiet")
def test_a_rollout_under_load_fails_no_request_and_every_answer_says_truly_who_gave_it(
    platform: Platform, catalog: Catalog, spawn: Callable[..., Child], tmp_path: Path
) -> None:
    model, ports = factories.unique("tiny").lower(), [held_port()]
    ports.append(held_port(ports))
    rollout.publish(catalog, tmp_path, model, rollout.OLD)
    for port in ports:
        spawn(f"api-{port}", "cli.main", "serve", "--port", str(port))
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    key = keys.create(platform.engine, tenant=model, name="rollout", scopes=keys.CLIENT, tier="pro")
    until(lambda: all(platform_processes.answers(f"{url}/healthz") for url in urls))
    with rollout.traffic(urls, key, model) as traffic:
        # On a busy machine a process may come to look a little later than it would.
        made = rollout.Rollout(platform.engine, catalog, traffic, tmp_path, answers=300, soon_s=2.0)
        made.run()
    said = rollout.report(made)
    assert not said.failed, said.failed[:3]
    assert not said.untrue, said.untrue[:3]
    # What 300 answers stray from is no matter of this test, as long as it is no other share.
    assert max(step.sigmas for step in said.steps) < 5
