"""Ports are chosen by several at once, and what listens there comes and goes: none is anybody else's meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import state
from tests.conftest import ROOT

HOLD = """
import sys
from local import state
made = state.load(__import__("pathlib").Path(sys.argv[1]))
state.hold_ports(made)
print(*made.ports.values(), flush=True)
sys.stdin.read()
"""


def test_what_one_holds_no_other_takes_though_nobody_listens_and_is_free_when_it_has_ended(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "theirs"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        ports = [int(port) for port in other.stdout.readline().split()]
        assert [state.is_free(port) for port in ports] == [False] * len(ports)
        mine = state.State(tmp_path, dict(zip("abc", ports, strict=False)))
        assert state.hold_ports(mine) == ["a", "b", "c"]
        assert not {*mine.ports.values()} & {*ports}
        other.stdin.close()
        other.wait()
    assert all(state.is_free(port) for port in ports if port != state.API_PORT)


def test_its_own_process_may_listen_where_it_holds_and_again(tmp_path: Path) -> None:
    port = state.held_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)), pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
    assert state.is_free(port)


def test_where_somebody_listens_nothing_is_held(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        mine = state.State(tmp_path, {"api": somebody.getsockname()[1]})
        assert state.hold_ports(mine) == ["api"]
        assert state.is_free(mine.ports["api"])
        assert state.read_json(tmp_path / "state.json")["ports"] == mine.ports


def test_the_api_goes_back_to_its_own_port_once_nobody_else_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = state.free_port(), state.free_port()
    monkeypatch.setattr(state, "API_PORT", own)
    mine = state.State(tmp_path, {"api": other})
    with socket.create_server(("127.0.0.1", own)):
        assert (state.renew_taken_ports(mine), mine.ports["api"]) == ([], other)
    for _ in range(2):
        assert (state.renew_taken_ports(mine), mine.ports["api"]) == ([], own)
    with socket.create_server(("127.0.0.1", own)):
        assert (state.renew_taken_ports(mine), mine.ports["api"] != own) == (["api"], True)


def test_a_checkout_begins_with_the_api_at_its_own_port_if_nobody_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state.API_PORT == 8000
    assert range(20_000, 32_000) == state.PORTS
    own = state.free_port()
    monkeypatch.setattr(state, "API_PORT", own)
    assert state.load(tmp_path / "one").ports["api"] == own
    with socket.create_server(("127.0.0.1", own)):
        assert state.load(tmp_path / "two").ports["api"] != own


def test_a_port_that_is_meant_for_something_else_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = state.free_port(), state.free_port()
    monkeypatch.setattr("random.sample", lambda *_: [one, other])
    assert [state.free_port([one]), state.held_port([one])] == [other, other]
    # What is held already is nobody's to have.
    with pytest.raises(OSError, match="no free port found between 20000 and 32000"):
        state.free_port([one])
