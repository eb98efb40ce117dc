"""An engine that refuses is there all the same: nobody ends it for that."""

from __future__ import annotations

import redis
import sqlalchemy

from local import engines, seaweedfs
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
