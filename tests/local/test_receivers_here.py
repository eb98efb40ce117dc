"""What `./run up` says of receivers on this machine, before anything has started."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import errors
from local import platform_processes, state
from tests.changed import changed
from tests.conftest import Platform


def test_nothing_on_this_machine_may_be_called_until_a_port_is_named(platform: Platform, tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    env = platform_processes.environment(tmp_path, made, made.urls({}), {})
    assert "COATCHECK_WEBHOOK_LOOPBACK" not in env
    none, two = (changed(platform.settings, webhook_loopback=ports) for ports in ((), (9000, 9100)))
    assert "nothing on this machine" in platform_processes.receivers_here(made, none)
    assert "127.0.0.1:9000, 127.0.0.1:9100" in platform_processes.receivers_here(made, two)


def test_no_port_of_ours_can_be_named(platform: Platform, tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    assert {"api", "flower", "master", "volume", "filer"} <= made.ports.keys()
    for name, port in made.ports.items():
        named = changed(platform.settings, webhook_loopback=(9000, port))
        with pytest.raises(errors.SettingsInvalid, match=rf"COATCHECK_WEBHOOK_LOOPBACK={port} .*\({name},"):
            platform_processes.receivers_here(made, named)
