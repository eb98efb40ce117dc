"""Commands that become a process or tell of some: what they hand on, and what they print."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import granian
import pytest
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from core import settings
from local import commands, proxy
from local.health import Health
from local.state import held_port
from tests.cli.conftest import Run
from tests.conftest import Platform


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the server is started with."""
    found: dict[str, Any] = {}

    class Server:
        def __init__(self, target: str, **how: Any) -> None:
            found.update(how, target=target)

        def serve(self) -> None:
            found["serves"] = True

    monkeypatch.setattr(granian, "Granian", Server)
    return found


@pytest.mark.parametrize(
    ("words", "address", "port", "at"),
    [((), "127.0.0.1", 8000, None), (("--host", "127.0.0.2", "--port", "65535"), "127.0.0.2", 65_535, None),
     (("--socket", "api.sock"), "127.0.0.1", 8000, Path("api.sock"))],
)  # fmt: skip
def test_the_api_is_served_where_it_is_said_to_be_to_its_owner_alone(
    run: Run,
    platform: Platform,
    asked: dict[str, Any],
    words: tuple[str, ...],
    address: str,
    port: int,
    at: Path | None,
) -> None:
    done = run("serve", *words, **platform.engines.env)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert asked == {
        "target": "api:served", "factory": True, "interface": Interfaces.WSGI, "address": address, "port": port,
        "uds": at, "uds_permissions": 0o600, "http": HTTPModes.http1, "websockets": False,
        "blocking_threads": platform.settings.api.threads,
        "log_level": LogLevels.warning, "serves": True,
    }  # fmt: skip


def test_a_socket_of_a_killed_process_is_removed_and_nothing_else_is(
    run: Run, platform: Platform, asked: dict[str, Any], tmp_path: Path
) -> None:
    env = platform.engines.env
    at = tmp_path / "s"
    # The path of the folder may be too long for an address.
    here = os.open(tmp_path, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{here}/s")
        listener.listen()
        done = run("serve", "--socket", "s", **env)
        assert (done.code, done.err, asked) == (1, "Error: somebody listens on s already\n", {})
        assert at.is_socket()
    assert run("serve", "--socket", "s", **env).code == 0
    assert not at.exists()
    os.close(here)
    at.write_text("mine")
    asked.clear()
    done = run("serve", "--socket", "s", **env)
    assert (done.code, done.err, asked) == (1, "Error: s is there already, and is no socket\n", {})
    assert at.read_text() == "mine"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Where the express lane is told to answer."""
    found: list[socket.socket] = []

    def served(values: Any, at: socket.socket) -> None:
        assert values.api.threads
        found.append(at.dup())

    monkeypatch.setattr("api.express.serve", served)
    yield found
    for item in found:
        item.close()


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_the_express_lane_listens_where_it_is_said_to_or_says_why_it_cannot(
    run: Run, platform: Platform, listening: list[socket.socket], host: str, family: int
) -> None:
    port = str(held_port())
    words = ("serve-express", "--host", host, "--port", port)
    assert run(*words, **platform.engines.env).code == 0
    (at,) = listening
    assert (at.family, at.getsockname()[:2]) == (family, (host, int(port)))
    socket.create_connection((host, int(port)), 5).close()
    done = run(*words, **platform.engines.env)
    assert done.code == 1
    assert done.err.startswith(f"Error: nobody can listen on {host}:{port}: Address already in use")


def test_the_socket_of_the_express_lane_is_its_owner_s_alone_from_the_first_moment(
    run: Run, platform: Platform, listening: list[socket.socket], tmp_path: Path
) -> None:
    before = os.umask(0o022)
    try:
        assert run("serve-express", "--socket", "x.sock", **platform.engines.env).code == 0
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert (tmp_path / "x.sock").stat().st_mode & 0o777 == 0o600
    (at,) = listening
    with socket.socket(socket.AF_UNIX) as caller:
        here = os.open(tmp_path, os.O_RDONLY)
        caller.connect(f"/proc/self/fd/{here}/x.sock")
        os.close(here)
    assert at.family is socket.AF_UNIX
    # Of one that was killed.
    at.close()
    listening.clear()
    assert run("serve-express", "--socket", "x.sock", **platform.engines.env).code == 0
    (tmp_path / "mine").write_text("mine")
    done = run("serve-express", "--socket", "mine", **platform.engines.env)
    assert (done.code, done.err) == (1, "Error: mine is there already, and is no socket\n")


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the command gives its place to."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr("os.execve", lambda *what: found.append((os.getcwd(), *what)))
    return found


DOORS = {
    "--listen": "api_listen", "--metrics": "metrics_listen", "--flower": "flower_listen", "--s3": "store_listen",
    "--api-at": "api", "--express-at": "express", "--flower-at": "flower", "--s3-at": "store", "--resolver": "resolver",
}  # fmt: skip
DEFAULTS = proxy.Doors(
    "0.0.0.0:8000", "127.0.0.1:9100", "127.0.0.1:5555", "api:8000", "flower:5555", store="seaweedfs:8333"
)


@pytest.mark.parametrize("given", [(), tuple(DOORS)], ids=["nothing", "everything"])
def test_the_proxy_takes_the_place_of_the_command_with_the_doors_that_are_given(
    run: Run, tmp_path: Path, became: list[tuple[Any, ...]], given: tuple[str, ...]
) -> None:
    told = {name: f"127.0.0.{number}:{number}" for number, name in enumerate(given, 1)}
    words = [word for pair in told.items() for word in pair]
    # It may be there from an earlier start.
    if given:
        (tmp_path / "deep" / "nginx").mkdir(mode=0o700, parents=True)
    done = run("proxy", "--folder", "deep/nginx", *words, FLOWER_BASIC_AUTH="joe:sesame")
    assert (done.code, done.err) == (0, "")
    folder = tmp_path / "deep" / "nginx"
    made = proxy.program(
        folder,
        proxy.Doors(**{**vars(DEFAULTS), **{DOORS[name]: value for name, value in told.items()}}),
        settings.proxy(),
        flower_user="joe:sesame",
        environ={},
    )
    assert became == [(str(folder), made.command[0], list(made.command), {})]
    assert (folder / "nginx.conf").read_text() == proxy.configuration(
        proxy.Doors(**{**vars(DEFAULTS), **{DOORS[name]: value for name, value in told.items()}}), settings.proxy()
    )
    assert (folder.stat().st_mode & 0o777, made.stop) == (0o700, signal.SIGQUIT)


@pytest.mark.parametrize("user", ["", "joe", None])
def test_the_proxy_wants_a_user_and_a_password_for_flower(
    run: Run, became: list[tuple[Any, ...]], user: str | None
) -> None:
    env = {} if user is None else {"FLOWER_BASIC_AUTH": user}
    done = run("proxy", "--folder", "nginx", **env)
    assert (done.code, done.err, became) == (2, "Error: FLOWER_BASIC_AUTH is not set, or not user:password\n", [])
    error = json.loads(run("proxy", "--folder", "nginx", "--json").err)["error"]
    assert error["code"] == "USAGE"


ONE = Health("api", 5, "running", 0.0)
URL = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("found", "code", "lines"),
    [
        (commands.Status("not running"), 3, ["Not running (./run up)"]),
        (commands.Status("starting", processes=[ONE]), 3, ["  {one}", "  still starting"]),
        (commands.Status("running", URL, [ONE]), 0, ["  {one}", f"  {URL}"]),
        (commands.Status("running", URL, [ONE], outdated=True), 0, ["  {one}", f"  {URL}", f"    {commands.OUTDATED}"]),
        (commands.Status("not all running", URL, [ONE], ["no worker", "no disk"]), 3,
         ["  {one}", f"  {URL}", "    no worker", "    no disk"]),
    ],
    ids=["none", "starting", "running", "outdated", "some"],
)  # fmt: skip
def test_status_prints_each_process_where_it_is_and_what_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch, found: commands.Status, code: int, lines: list[str]
) -> None:
    monkeypatch.setattr(commands, "status", lambda _: found)
    monkeypatch.setattr(Health, "__str__", lambda item: f"{item.name} as it is")
    done = run("status")
    assert (done.code, done.err) == (code, "")
    assert done.out.splitlines() == [line.format(one="api as it is") for line in lines]
    told = run("status", "--json")
    processes = [{"name": "api", "pid": 5, "state": "running", "since": 0.0, "restarts": 0}] if found.processes else []
    assert (told.code, json.loads(told.out)) == (
        code,
        {"state": found.state, "url": found.url, "processes": processes, "problems": list(found.problems),
         "outdated": found.outdated},
    )  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--detach",), ("--quiet",), ("--detach", "--quiet")], ids=" ".join)
def test_up_and_down_hand_on_what_was_asked_and_end_with_the_code_that_comes(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    called: list[Any] = []

    def up(root: Path, environ: Any, **how: bool) -> int:
        called.append((root, dict(environ)["MARK"], how))
        return 5

    def down(root: Path) -> int:
        called.append(root)
        return 6

    monkeypatch.setattr(commands, "up", up)
    monkeypatch.setattr(commands, "down", down)
    assert run("up", *words, MARK="x").code == 5
    assert run("down").code == 6
    assert called == [(tmp_path, "x", {"detach": "--detach" in words, "quiet": "--quiet" in words}), tmp_path]
