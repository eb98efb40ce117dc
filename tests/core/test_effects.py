"""What each setting brings about when it is not its default: every one has a case, and so has every one that comes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from api import client
from core import broker
from core.environment import settings_of
from core.settings import Settings
from jobs.drain import Drainer
from local.state import held_port
from storage.objects import Store
from tests import callers
from tests.api.world import GOOD
from tests.changed import name_of
from tests.conftest import ROOT, Platform, until
from tests.core import effects
from tests.core.effects import DEAD, JOBS, PREDICT, UPLOADS, Here, NewJob, address, code, courier
from tests.issuer import Issuer

pytestmark = pytest.mark.usefixtures("quiet")


@pytest.fixture
def here(
    platform: Platform, drainer: Drainer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Here]:
    with contextlib.ExitStack() as stack:
        yield Here(platform, callers.key(platform), drainer, new_job, monkeypatch, tmp_path, stack)


def batch(here: Here) -> None:
    client = here.client(max_batch_items=2)
    answers = [client.post(f"{PREDICT}/batch", json={"inputs": [GOOD] * count}) for count in (2, 3)]
    assert [code(answer) for answer in answers] == [200, "BATCH_TOO_LARGE"]


def body(here: Here) -> None:
    client = here.client(max_body_bytes=1024)
    answers = [client.post(PREDICT, data=b'{"inputs": {"text": "a"}}'.ljust(size), content_type="application/json")
               for size in (1024, 1025)]  # fmt: skip
    assert [code(answer) for answer in answers] == [200, "PAYLOAD_TOO_LARGE"]
    assert any("1024" in line for line in here.nginx(max_body_bytes=1024))


def longest_wait(here: Here) -> None:
    client = here.client(max_wait_s=2.0)
    answers = [client.post(PREDICT, json={"inputs": GOOD}, headers={"Prefer": f"wait={wait}"}) for wait in (2, 3)]
    assert [code(answer) for answer in answers] == [200, "INVALID_INPUT"]
    assert here.nginx(max_wait_s=100.0)


def longest_run(here: Here) -> None:
    client = here.client(max_run_timeout_s=301)
    answers = [client.post(JOBS, json={"inputs": GOOD, "timeout_s": seconds}) for seconds in (301, 302)]
    assert [code(answer) for answer in answers] == [202, "INVALID_INPUT"]


def largest_file(here: Here) -> None:
    client = here.client(max_upload_bytes=9)
    answers = [client.post(UPLOADS, json={"content_type": "text/csv", "size": size}) for size in (9, 10)]
    assert [code(answer) for answer in answers] == [201, "INVALID_INPUT"]


def redis(here: Here) -> None:
    lines = [broker.Line(here.settings(**given).queue.redis_url) for given in ({}, {"redis_url": f"redis://{DEAD}"})]
    assert [line.ping() for line in lines] == [True, False]


def store(here: Here, **given: str) -> None:
    assert [Store(here.settings(**more).storage, attempts=1).ping() for more in ({}, given)] == [True, False]


def tls(here: Here) -> None:
    told = here.nginx(tls_certificate=Path("/tls/c.pem"), tls_key=Path("/tls/k.pem"))
    assert {'ssl_certificate "/tls/c.pem";', 'ssl_certificate_key "/tls/k.pem";'} <= told


def leases(here: Here) -> None:
    drainer, told = here.worker(LEASE_S="33", HEARTBEAT_S="7", GRACE_S="5")
    assert told | {"asked_to_stop": 0} == {"lease_s": 33.0, "heartbeat_s": 7.0, "grace_s": 5.0, "asked_to_stop": 0}
    assert drainer.lease_s == 33.0


def proxies(here: Here) -> None:
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "8.8.8.8"}
    found = []
    for given in ((), ("10.0.0.0/8",)):
        with here.client(trusted_proxies=given).application.app_context():
            found.append(client.address(environ))
    assert found == ["10.0.0.1", "8.8.8.8"]
    assert "set_real_ip_from 10.0.0.0/8;" in here.nginx(trusted_proxies=("10.0.0.0/8",))


def strangers(here: Here) -> None:
    found = []
    for given in (False, True):
        stranger = here.client(anonymous=given)
        del stranger.environ_base["HTTP_AUTHORIZATION"]
        found.append(code(stranger.post(PREDICT, json={"inputs": GOOD})))
    assert found == ["UNAUTHORIZED", 200]
    assert '"~^:"                        0;' in here.nginx(anonymous=True)


def grpc_port(here: Here) -> None:
    port = held_port()
    environ = {**os.environ, "COATCHECK_GRPC_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "cli.main", "serve-grpc"], cwd=ROOT, env=environ)
    here.stack.callback(process.wait)
    here.stack.callback(process.terminate)

    def listens() -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    until(listens)


OIDC = ("oidc_issuer", "oidc_audience", "oidc_tenant_claim", "oidc_scope_claim", "oidc_tier_claim")


def tokens(here: Here) -> None:
    """Of an issuer that is set; each other setting makes one token more that opens something."""
    issuer = Issuer()
    here.stack.callback(issuer.stop)
    org = callers.name("org")
    token = issuer.token(aud="api", org=org, plan="pro", sub="\n", scope=None, scp=["jobs"])
    shown, found = {"Authorization": f"Bearer {token}"}, []
    values = (issuer.url, "api", "org", "scp", "plan")
    for count in range(len(OIDC) + 1):
        client = here.client(**dict(zip(OIDC[:count], values[:count], strict=True)))
        client.environ_base.clear()
        found.append(code(client.get(JOBS, headers=shown)))
        tiers = here.platform.rows("DELETE FROM tenants WHERE name = :name RETURNING tier", name=org)
        found += [tier for (tier,) in tiers]
    assert found == [
        "UNAUTHORIZED", "UNAUTHORIZED", "FORBIDDEN", "FORBIDDEN", "free", 200, "free", 200, "pro",
    ]  # fmt: skip


EFFECTS: Mapping[str, Callable[[Here], object]] = {
    "redis_url": redis,
    "log_level": effects.log_level,
    "max_run_timeout_s": longest_run,
    "slice_s": effects.slice_s,
    "s3_endpoint_url": lambda here: store(here, s3_endpoint_url=f"http://{DEAD}"),
    "s3_access_key": lambda here: store(here, s3_access_key="other"),
    "s3_secret_key": lambda here: store(here, s3_secret_key="other"),
    "s3_public_url": lambda here: same(address(here, s3_public_url="https://files.example").netloc, "files.example"),
    "s3_bucket": lambda here: same(address(here, s3_bucket="other").path, "/other/a/key"),
    "s3_region": lambda here: same("%2Feu-west-1%2F" in address(here, s3_region="eu-west-1").query, True),
    "model_cache": effects.model_cache,
    "max_body_bytes": body,
    "max_wait_s": longest_wait,
    "max_connections": lambda here: same(any("77" in line for line in here.nginx(max_connections=77)), True),
    "grpc_port": grpc_port,
    "tls_certificate": tls,
    "tls_key": tls,
    "cors_origins": lambda here: same(
        '"https://a.example"' in str(here.nginx(cors_origins=("https://a.example",))), True),
    "anonymous": strangers,
    **dict.fromkeys(OIDC, tokens),
    "trusted_proxies": proxies,
    "database_url": lambda here: same(
        code(here.client(database_url=f"postgresql://a:b@{DEAD}/d").get(JOBS)), "UNAVAILABLE"),
    "environment": effects.environment,
    "secret_key": effects.secret_key,
    "old_secret_keys": effects.secret_key,
    "provider": effects.provider,
    "gpu_memory_mb": effects.gpu_memory_mb,
    "default_model": effects.default_model,
    "onnx_threads": effects.onnx_threads,
    "model_memory_mb": effects.model_memory_mb,
    "cache_mb": effects.cache,
    "cache_s": effects.cache,
    "limits": effects.limits,
    "max_batch_items": batch,
    "max_upload_bytes": largest_file,
    "max_unpacked_bytes": effects.max_unpacked_bytes,
    "input_buckets": lambda here: effects.bucket(here, "input_buckets", "https://s3.example/a"),
    "input_private_buckets": lambda here: effects.bucket(here, "input_private_buckets", "http://10.0.0.1:9000/a"),
    "upload_s": effects.upload_s,
    "download_s": effects.download_s,
    "v1_deprecated_at": effects.v1_deprecated_at,
    "v1_sunset_at": effects.v1_sunset_at,
    "inline_timeout_s": effects.inline_timeout_s,
    "default_wait_s": effects.default_wait_s,
    "max_waiters": lambda here: effects.places(here, "max_waiters", "waiters"),
    "max_streams": lambda here: effects.places(here, "max_streams", "streams"),
    "request_threads": lambda here: effects.places(here, "request_threads", "requests"),
    "max_predictions": effects.max_predictions,
    "max_errors": effects.max_errors,
    "job_ttl_s": lambda here: same(here.job("extract(epoch FROM expires_at - created_at)::int", job_ttl_s=777), 777),
    "lease_s": leases,
    "heartbeat_s": leases,
    "run_timeout_s": lambda here: same(here.job("timeout_s", run_timeout_s=77), 77),
    "grace_s": leases,
    "max_attempts": lambda here: same(here.job("max_attempts", max_attempts=7), 7),
    "max_losses": effects.max_losses,
    "usage_keep_days": effects.usage_keep_days,
    "webhook_hosts": lambda here: effects.receiver(
        here, "http://hooks.internal:8080/x", webhook_hosts=("hooks.internal:8080",)),
    "webhook_loopback": lambda here: effects.receiver(here, "http://127.0.0.1:9000/x", webhook_loopback=(9000,)),
    # What they do is shown by tests/webhooks; here, that the courier is told.
    "webhook_schedule": lambda here: same(courier(here, webhook_schedule=(0.0, 7.0))._pause_s, 7.0),
    "webhook_timeout_s": lambda here: same(courier(here, webhook_timeout_s=7.0)._sender._poster._timeout_s, 7.0),
    "webhook_disable_s": lambda here: same(courier(here, webhook_disable_s=7)._disable_s, 7),
    "webhook_senders": lambda here: same(courier(here, webhook_senders=7)._senders._max_workers, 7),
}  # fmt: skip


def same(found: object, wanted: object) -> None:
    assert found == wanted


def test_every_setting_has_a_case() -> None:
    assert set(EFFECTS) == {name_of(item) for item in settings_of(Settings)}


@pytest.mark.parametrize("setting", EFFECTS)
def test_a_setting_that_is_not_its_default_has_its_effect(here: Here, setting: str) -> None:
    EFFECTS[setting](here)
