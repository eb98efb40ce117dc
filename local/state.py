"""What one checkout remembers between starts: ports, secrets and keys, in `.coatcheck/` (0700, files 0600)."""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import json
import os
import random
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

API_PORT = 8000
#: Below the range that the kernel gives to outgoing connections.
PORTS = range(20_000, 32_000)
S3 = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY")
NAMES = (
    "postgres", "valkey", "flower", "s3", "s3_grpc", "master", "master_grpc", "volume", "volume_grpc", "filer",
    "filer_grpc", "metrics", "grpc",
)  # fmt: skip


@dataclass
class State:
    """Made once, then read again at every start."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)  #: API keys by the database they are good for

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def save(self) -> None:
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "folder"}
        write_private(self.folder / "state.json", json.dumps(values, indent=2))

    @property
    def superuser_url(self) -> str:
        """Of our own Postgres; nobody but `up` knows it."""
        return self._postgres("postgres", "postgres")

    def urls(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The engines' addresses: the given ones, else our own."""
        given = self.given(environ)
        if "DATABASE_URL" in given:
            given.setdefault("DATABASE_OWNER_URL", given["DATABASE_URL"])
        return {**self._own(), **given, "S3_BUCKET": environ.get("S3_BUCKET", "coatcheck")}

    def given(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What the environment says of engines elsewhere; our own, from a sourced `.coatcheck/env*`, do not count."""
        own = self._own()
        found = {name: environ[name] for name in own if environ.get(name)}
        # The app was the superuser once, and a shell may still say so.
        foreign = {name: value for name, value in found.items() if value not in (own[name], self.superuser_url)}
        if any(name in foreign for name in S3):
            foreign |= {name: found[name] for name in S3 if name in found}
        if "DATABASE_OWNER_URL" in foreign and "DATABASE_URL" not in foreign:
            raise RuntimeError("DATABASE_OWNER_URL is given without DATABASE_URL: give both, or neither")
        return foreign

    def _own(self) -> dict[str, str]:
        ports, secret = self.ports, self.secrets
        return {
            "DATABASE_URL": self._postgres("coatcheck_app", "postgres_app"),
            "DATABASE_OWNER_URL": self._postgres("coatcheck_owner", "postgres_owner"),
            "REDIS_URL": f"redis://:{secret['valkey']}@127.0.0.1:{ports['valkey']}/0",
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{ports['s3']}",
            "S3_ACCESS_KEY": "coatcheck",
            "S3_SECRET_KEY": secret["s3"],
        }

    def _postgres(self, role: str, secret: str) -> str:
        return f"postgresql+psycopg://{role}:{self.secrets[secret]}@127.0.0.1:{self.ports['postgres']}/postgres"

    def proof(self, urls: Mapping[str, str]) -> dict[str, str]:
        """What has libpq tell no password to whoever listens in the place of our own Postgres while that is away: with
        SCRAM the server has to prove that it knows it (RFC 5802)."""
        ours = urls["DATABASE_URL"] == self._own()["DATABASE_URL"]
        return {"PGREQUIREAUTH": "scram-sha-256"} if ours else {}

    def keys_for(self, database_url: str) -> dict[str, str]:
        if database_url == self._own()["DATABASE_URL"]:
            database_url = self.superuser_url  # as it was known before it had roles
        return self.keys.setdefault(hashlib.sha256(database_url.encode()).hexdigest()[:16], {})


def load(folder: Path) -> State:
    """Read `.coatcheck/state.json`, or make it with fresh ports and secrets."""
    folder.mkdir(mode=0o700, exist_ok=True)
    state = State(folder)
    stored = folder / "state.json"
    if stored.exists():
        state = _stored(folder, stored)
    elif (folder / "data").exists():
        raise RuntimeError(f"{folder / 'data'} belongs to a state.json that is gone: remove {folder} to start afresh")
    for part in (state.run, state.logs, state.data):
        part.mkdir(mode=0o700, exist_ok=True)
    for name in NAMES:
        state.ports.setdefault(name, free_port(state.ports.values()))
    for name in ("postgres", "postgres_owner", "postgres_app", "valkey", "s3", "flower", "app"):
        state.secrets.setdefault(name, secrets.token_urlsafe(24))
    state.ports.setdefault("api", API_PORT if is_free(API_PORT) else free_port(state.ports.values()))
    state.save()
    return state


def _stored(folder: Path, path: Path) -> State:
    """Raises RuntimeError where it is not what `save` writes, as that of a newer version may be."""
    try:
        return State(folder, **read_json(path))
    except TypeError as error:
        raise RuntimeError(
            f"{path} was not written by this version: bring that one back, or remove {folder}"
        ) from error


def renew_taken_ports(state: State) -> list[str]:
    """Hold the ports, and replace those that somebody else took since the last start; says which. The API goes back to
    its own if it can."""
    if state.ports["api"] != API_PORT and is_free(API_PORT):
        state.ports["api"] = API_PORT
    return hold_ports(state)


def hold_ports(state: State) -> list[str]:
    """Nobody else of us takes them while this process lives, also while what listens there is started again; returns
    the names of those that somebody had, which are others now."""
    taken = [name for name, port in state.ports.items() if not _hold(port)]
    for name in taken:
        state.ports[name] = held_port(state.ports.values())
    state.save()
    return taken


#: What holds the ports of this process: UDP of the same number, of which nobody here makes any use.
_HELD: dict[int, socket.socket] = {}


@atexit.register
def _let_go() -> None:
    for holder in _HELD.values():
        holder.close()


def _hold(port: int) -> bool:
    """Whether it is ours now: nobody listens there, and nobody else holds it."""
    if port not in _HELD:
        holder = socket.socket(type=socket.SOCK_DGRAM)
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            return False
        _HELD[port] = holder
    return _nobody_listens(port)


def is_free(port: int) -> bool:
    """Whether nobody listens there, and no other process holds it."""
    if port in _HELD:
        return _nobody_listens(port)
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            return False
    return _nobody_listens(port)


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(not_these: Iterable[int] = ()) -> int:
    """A port that is free at this moment; raises OSError when there is none."""
    return _some_port(is_free, not_these)


def held_port(not_these: Iterable[int] = ()) -> int:
    """A port that is ours while this process lives; raises OSError when there is none."""
    return _some_port(_hold, not_these)


def _some_port(good: Callable[[int], bool], not_these: Iterable[int]) -> int:
    taken = {*not_these, *_HELD}
    for port in random.sample(PORTS, 500):
        if port not in taken and good(port):
            return port
    raise OSError(f"no free port found between {PORTS.start} and {PORTS.stop}")


def read_json(path: Path) -> Any:
    """What `write_private` wrote; raises RuntimeError when it is damaged."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise RuntimeError(f"{path} is damaged: remove it, or {path.parent} to start afresh") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
    scratch.replace(path)
