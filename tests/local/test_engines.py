"""An engine that refuses is there all the same: nobody ends it for that."""

from __future__ import annotations

import json
import time
import tomllib
from pathlib import Path

import pytest
import redis
import sqlalchemy

from local import engines, seaweedfs, state
from tests.cli.conftest import deaf
from tests.conftest import Platform
from tests.frozen import frozen


def test_a_refusal_is_an_answer_and_silence_is_none(platform: Platform) -> None:
    url = sqlalchemy.make_url(platform.engines.superuser_url)
    # Refused before a session begins, as by a Postgres that recovers, or that has no room for one.
    refused = url.set(password="wrong").render_as_string(hide_password=False)
    assert (engines.postgres_ready(refused), engines.postgres_answers(refused)) == (False, True)
    server = platform.engines.running["postgres"].pid
    with frozen(server):
        assert not engines.postgres_answers(platform.engines.superuser_url)
    assert not engines.postgres_answers(url.set(port=1).render_as_string(hide_password=False))


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
    assert identity["credentials"] == [{"accessKey": "coatcheck", "secretKey": made.secrets["s3"]}]
    # Nothing is made twice, and what is there is no reason to fail.
    before = (run / "certificates" / "key.pem").read_bytes()
    engine.prepare()
    assert (run / "certificates" / "key.pem").read_bytes() == before


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_what_an_engine_keeps_is_the_owner_s_alone(tmp_path: Path, name: str) -> None:
    made = state.load(tmp_path / ".coatcheck")
    for engine in engines.embedded(made, made.urls({}), {}):
        if engine.program.name == name:
            engine.prepare()
    folder = made.data / name
    assert folder.stat().st_mode & 0o777 == 0o700
