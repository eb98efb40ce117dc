"""The command as people run it, and servers that are not Coatcheck."""

from __future__ import annotations

import contextlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import flask
import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from cli import main
from jobs.drain import Drainer
from tests import callers, graphs
from tests.callers import Key
from tests.conftest import ROOT, Platform
from tests.hands import work

#: A key in its true form, which opens nothing.
KEY = f"cck_{'0a' * 6}_{'5e' * 24}{'c' * 8}"
SECRET = KEY.removeprefix("cck_").split("_")[1]
JOB = f"job_{'0' * 32}"
OPERATOR = ("DATABASE_URL", "S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY", "REDIS_URL", "COATCHECK_SECRET_KEY")
ROW = {"text": "Lovely"}


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]
Answer = tuple[int, dict[str, str], bytes]


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(main.coatcheck))
#: They start or end processes, or print nothing that a program could read.
WITHOUT_RESULT = {
    ("up",),
    ("down",),
    ("serve",),
    ("serve-express",),
    ("serve-grpc",),
    ("proxy",),
    ("roles",),
    ("migrate",),
}
#: They act on a checkout, and know no settings.
OURS = {("up",), ("down",), ("status",)}
#: They look at files alone.
ALONE = {("models", "init"), ("models", "check")}
#: A file of theirs is not one of rows.
FILES: dict[tuple[str, ...], str] = {("apply",): "plan.yaml"}
#: What a command insists on as a whole.
ALSO: dict[tuple[str, ...], tuple[str, ...]] = {
    ("tiers", "change"): ("--pace", "1"),
    ("models", "init"): ("--python", "x", "--row", '{"x": 1}'),
}


def called(path: tuple[str, ...], folder: Path) -> list[str]:
    """Words that call a command with all that it insists on, whatever its parameters are."""
    words = [*path, *ALSO.get(path, ())]
    for parameter in COMMANDS[path].params:
        if parameter.required:
            value = JOB if parameter.name == "job_id" else "0" * 12 if parameter.name == "key_id" else "x"
            if isinstance(parameter.type, click.Path):
                value = str(folder if not parameter.type.file_okay else folder / FILES.get(path, "rows.jsonl"))
            if parameter.type is click.INT:
                value = "1"
            words += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
    return words


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts the tests may have a terminal, and have said how wide it is."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process, in an empty folder, with these variables alone of ours."""

    def go(*words: str, **env: str) -> Done:
        if words[:1] == ("apply",):
            (tmp_path / "plan.yaml").write_text("models: {sentiment: {}}\n")
        (tmp_path / "rows.jsonl").write_text('{"text": "Great"}\n')
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            # Never the checkout that the tests run from.
            patch.setattr("cli.local.ROOT", tmp_path)
            for name in list(os.environ):
                if name.startswith(("COATCHECK_", "DATABASE_", "REDIS_", "S3_", "FLOWER_")) or "proxy" in name.lower():
                    patch.delenv(name)
            for name, value in env.items():
                patch.setenv(name, value)
            capfd.readouterr()
            with pytest.raises(SystemExit) as ended:
                main.main(words)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Done(int(ended.value.code or 0), out, err)

    return go


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start a command as a process, in an empty folder."""

    def start(*words: str, env: dict[str, str], **more: int) -> subprocess.Popen[bytes]:
        called = [sys.executable, "-P", "-m", "cli.main", *words]
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        pipes: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **more,
        }
        return subprocess.Popen(
            called, env={**kept, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **env}, cwd=tmp_path, **pipes
        )

    return start


@contextlib.contextmanager
def serving(answer: Callable[[str], Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers each path so; gives its address, and what it was asked, headers and all."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.requestline}\n{self.headers}")
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library looks for it

        def log_message(self, *_: object) -> None: ...

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128  # five who knock at once are soon there, and others may be turned away

        def handle_error(self, *_: object) -> None:
            """Who asked may have gone, and what would be said of that would be in another test's output."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def deaf() -> Iterator[str]:
    """The address of one that has as many callers waiting as it can: whoever else knocks hears nothing."""
    with contextlib.ExitStack() as callers_, socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        with contextlib.suppress(TimeoutError):
            while True:
                caller = callers_.enter_context(socket.socket())
                caller.settimeout(0.3)
                caller.connect(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None: ...


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of an app behind a plain server."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Here:
    """A platform, somebody who has a key of it, and commands with the settings of both."""

    platform: Platform
    key: Key
    env: Mapping[str, str]
    run: Run
    app: flask.Flask
    folder: Path

    def __call__(self, *words: str, **more: str) -> Done:
        return self.run(*words, **{**self.env, **more})

    def ended(self) -> str:
        """A job of one input that is done."""
        client = self.app.test_client()
        made = client.post("/api/v1/jobs", json={"inputs": ROW}, headers=self.key.headers).get_json()["job_id"]
        work(self.platform)
        return str(made)

    def model(self, name: str | None = None, version: str = "1.0.0") -> str:
        """The folder of a model that nobody has."""
        folder = self.folder / uuid.uuid4().hex
        return str(graphs.bundle(folder, name=name or f"m{uuid.uuid4().hex}", version=version))

    def published(self) -> str:
        """The name of a model that nobody had, with one version."""
        name = f"m{uuid.uuid4().hex}"
        done = self("models", "push", self.model(name))
        assert done.code == 0, done.err
        return name

    def nothing(self) -> str:
        (self.folder / "nothing").mkdir(exist_ok=True)
        return str(self.folder / "nothing")


@pytest.fixture
def here(platform: Platform, app: flask.Flask, run: Run, tmp_path: Path) -> Iterator[Here]:
    key = callers.key(platform)
    env = {name: platform.engines.env[name] for name in OPERATOR}
    before = {str(row[0]) for row in platform.rows("SELECT name FROM models")}
    with served(app) as url:
        env |= {"COATCHECK_URL": url, "COATCHECK_API_KEY": key.token, "COATCHECK_MODEL_CACHE": str(tmp_path / "models")}
        yield Here(platform, key, env, run, app, tmp_path)
    # What other tests list is as it was.
    for table, column in (("model_versions", "model"), ("models", "name")):
        platform.execute(f"DELETE FROM {table} WHERE NOT {column} = ANY (:known)", known=sorted(before))


@pytest.fixture
def worker(drainer: Drainer) -> Iterator[None]:
    """Somebody who takes what is due."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            drainer.drain("cpu", "wake")

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()
