"""What somebody gains who can write to the database, but does not have the key: nothing that was sealed."""

from __future__ import annotations

import uuid
from typing import Any

import flask
import pytest

from core import ids
from core.seal import Context, Purpose, Seal
from tests.conftest import Platform
from tests.hands import work
from tests.webhooks.conftest import Receiver, Tenant
from webhooks import signing
from webhooks.courier import Courier

OF = "FROM webhook_secrets WHERE endpoint_id IS NOT DISTINCT FROM :endpoint AND tenant_id = :tenant"


@pytest.fixture
def alice(app: flask.Flask, platform: Platform, tenant: Tenant) -> Tenant:
    """A tenant beside `tenant`."""
    _, key = platform.new_tenant()
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return Tenant(client)


def tenant_id(tenant: Tenant, platform: Platform) -> Any:
    key = str(tenant.http.environ_base["HTTP_AUTHORIZATION"]).split("_")[1]
    return platform.one("SELECT tenant_id FROM api_keys WHERE id = :key", key=key)[0]


def sealed(platform: Platform, tenant: Tenant, endpoint: dict[str, Any] | None = None) -> str:
    whose = {"tenant": tenant_id(tenant, platform), "endpoint": endpoint and ids.parse_endpoint_id(endpoint["id"])}
    return str(platform.one(f"SELECT sealed {OF}", **whose)[0])


def put(platform: Platform, text: str, tenant: Tenant, endpoint: dict[str, Any] | None = None) -> None:
    whose = {"tenant": tenant_id(tenant, platform), "endpoint": endpoint and ids.parse_endpoint_id(endpoint["id"])}
    statement = f"UPDATE webhook_secrets SET sealed = :text {OF.removeprefix('FROM webhook_secrets ')}"
    platform.execute(statement, text=text, **whose)


def secret(tenant: Tenant, endpoint: dict[str, Any] | None = None) -> Any:
    return tenant.http.get(f"/api/v1/webhooks/{endpoint['id'] if endpoint else 'jobs'}/secret")


def test_a_secret_that_was_copied_to_another_tenant_endpoint_or_use_is_shown_to_nobody(
    tenant: Tenant, alice: Tenant, platform: Platform
) -> None:
    theirs = alice.endpoint("https://hooks.example.com/")
    first, second = tenant.endpoint("https://hooks.example.com/"), tenant.endpoint("https://hooks.example.com/")
    for owner in (tenant, alice):
        assert secret(owner).status_code == 200
    stolen = {
        "tenant": (sealed(platform, alice), None),
        "tenant and endpoint": (sealed(platform, alice, theirs), first),
        "endpoint": (sealed(platform, tenant, second), first),
        "of an endpoint for jobs": (sealed(platform, tenant, first), None),
        "of jobs for an endpoint": (sealed(platform, tenant), first),
        "purpose": (
            Seal(platform.settings.sealing).seal(
                "whsec_AAAA",
                Context(Purpose.INPUT_URL, tenant_id(tenant, platform), ids.parse_endpoint_id(first["id"])),
            ),
            first,
        ),
    }
    for axis, (text, endpoint) in stolen.items():
        mine = sealed(platform, tenant, endpoint)
        put(platform, text, tenant, endpoint)
        answer = secret(tenant, endpoint)
        assert (answer.status_code, answer.json["error"]["code"]) == (500, "SECRET_LOST"), axis
        assert "whsec_" not in answer.text
        put(platform, mine, tenant, endpoint)
        assert secret(tenant, endpoint).status_code == 200


def test_an_endpoint_that_was_moved_to_another_tenant_with_its_secret_shows_it_to_nobody(
    tenant: Tenant, alice: Tenant, platform: Platform
) -> None:
    theirs = alice.endpoint("https://hooks.example.com/")
    ours = tenant_id(tenant, platform)
    for table in ("webhook_endpoints", "webhook_secrets"):
        platform.execute(f"UPDATE {table} SET tenant_id = :ours", ours=ours)
    answer = secret(tenant, theirs)
    assert (answer.status_code, answer.json["error"]["code"]) == (500, "SECRET_LOST")
    assert theirs["secret"] not in answer.text


def test_nothing_is_sent_that_was_signed_with_a_secret_from_elsewhere(
    tenant: Tenant, alice: Tenant, receiver: Receiver, courier: Courier, platform: Platform
) -> None:
    theirs, mine = alice.endpoint("https://hooks.example.com/"), tenant.endpoint(receiver.url)
    put(platform, sealed(platform, alice, theirs), tenant, mine)
    tenant.job()
    work(platform)
    courier.drain()
    (delivery,) = tenant.deliveries()
    assert [attempt["error"] for attempt in delivery["attempts"]] == ["SECRET_LOST"]
    assert receiver.calls == []


def test_a_public_key_that_is_not_the_secrets_is_given_to_no_receiver(
    tenant: Tenant, anonymous: Any, platform: Platform
) -> None:
    endpoint = tenant.endpoint("https://hooks.example.com/", signing="v1a")
    address = f"/api/v1/webhooks/{endpoint['id']}/keys"
    assert anonymous.get(address).status_code == 200
    forged = signing.new_key(signing.Signing.V1A).public
    platform.execute("UPDATE webhook_secrets SET public_key = :forged", forged=forged)
    assert anonymous.get(address).json["error"]["code"] == "SECRET_LOST"
    assert secret(tenant, endpoint).json["error"]["code"] == "SECRET_LOST"


def test_a_secret_that_is_lost_is_replaced_by_a_new_one(tenant: Tenant, platform: Platform) -> None:
    endpoint = tenant.endpoint("https://hooks.example.com/")
    put(
        platform,
        Seal(platform.settings.sealing).seal("x", Context(Purpose.WEBHOOK_SECRET, uuid.UUID(int=0), None)),
        tenant,
        endpoint,
    )
    made = tenant.http.post(f"/api/v1/webhooks/{endpoint['id']}/rotate", json={"overlap_s": 0})
    assert made.status_code == 200
    assert secret(tenant, endpoint).json["secret"] == made.json["secret"] != endpoint["secret"]
