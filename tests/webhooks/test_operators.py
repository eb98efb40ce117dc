"""Operators are called when somebody is held back, and nobody else is."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import flask
import pytest
import sqlalchemy
from flask.testing import FlaskClient
from standardwebhooks import Webhook

from access import keys
from access.conduct import Conduct
from access.ladder import Ladder, Level
from tests import callers
from tests.conftest import Platform, until
from tests.webhooks.conftest import Receiver, Tenant
from webhooks.events import FOR_OPERATORS

Deliver = Callable[[], None]
HELD = ("access.warned", "access.slowed", "access.blocked")
WEBHOOKS = "/api/v1/webhooks"


@pytest.fixture
def operator(platform: Platform, app: flask.Flask, no_webhooks: None) -> Tenant:
    """Somebody of a tenant of their own, with the scope `admin`."""
    client = app.test_client()
    key = callers.key(platform, scopes={*keys.CLIENT, "admin"})
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    return Tenant(client)


def test_each_step_up_of_anybody_is_one_signed_call_to_the_operator(
    platform: Platform, operator: Tenant, receiver: Receiver, deliver: Deliver
) -> None:
    endpoint = operator.endpoint(receiver.url, *HELD)
    key = callers.key(platform)
    tenant_id = platform.one("SELECT tenant_id FROM api_keys WHERE id = :id", id=key.id).tenant_id
    conduct, subject = Conduct(platform.engine, Ladder(errors=1, refill_s=1e9)), f"key:{key.id}"
    for level in Level:
        conduct.failed(subject, tenant_id, 2.0)

        def there(level: Level = level) -> bool:
            conduct.enter("key:other")
            found = conduct.standing(subject)
            return found is not None and found.level is level

        until(there)
    deliver()
    calls = sorted(receiver.got(3), key=lambda call: HELD.index(call.event["type"]))
    for call, event in zip(calls, HELD, strict=True):
        Webhook(endpoint["secret"]).verify(call.body, dict(call.headers))
        assert call.event["type"] == event
        data = call.event["data"]
        assert data.keys() == {"subject", "tenant", "level", "reason", "since", "until"}
        assert (data["subject"], data["tenant"], data["reason"]) == (subject, key.tenant, "errors")
        assert f"access.{data['level']}" == event


def refused(answer: object) -> bool:
    status, error = answer.status_code, answer.get_json()["error"]  # type: ignore[attr-defined]
    return (status, error["code"], error["details"]) == (403, "FORBIDDEN", {"scope": "admin"})


@pytest.mark.parametrize("event", FOR_OPERATORS)
def test_what_is_of_all_tenants_is_for_operators_alone(tenant: Tenant, event: str) -> None:
    url = f"https://example.com/{uuid.uuid4().hex}"
    assert refused(tenant.http.post(WEBHOOKS, json={"url": url, "events": ["job.completed", event]}))
    assert tenant.http.get(WEBHOOKS).json == {"webhooks": []}
    mine = tenant.endpoint(url)
    assert refused(tenant.http.patch(f"{WEBHOOKS}/{mine['id']}", json={"events": [event]}))
    assert tenant.show(mine)["events"] == ["job.completed"]


def test_an_operators_endpoint_is_not_sent_elsewhere_by_who_is_none(
    platform: Platform, app: flask.Flask, operator: Tenant
) -> None:
    made = operator.endpoint("https://example.com/hook", "access.blocked")
    tenant = platform.one("SELECT tenants.name FROM webhook_endpoints JOIN tenants ON tenants.id = tenant_id").name
    other: FlaskClient = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {callers.key(platform, tenant=tenant).token}"
    assert refused(other.patch(f"{WEBHOOKS}/{made['id']}", json={"url": "https://example.com/mine"}))
    assert operator.show(made)["url"] == "https://example.com/hook"
    changed = operator.http.patch(f"{WEBHOOKS}/{made['id']}", json={"url": "https://example.com/other"})
    assert (changed.status_code, changed.json["url"]) == (200, "https://example.com/other")


def test_what_operators_were_told_is_not_in_the_log_that_others_of_their_tenant_read(
    platform: Platform, app: flask.Flask, operator: Tenant
) -> None:
    made = operator.endpoint("https://example.com/hook", "job.completed", "access.warned")
    operator.http.post(f"{WEBHOOKS}/{made['id']}/test")
    key = callers.key(platform)
    conduct = Conduct(platform.engine, Ladder(errors=1, refill_s=1e9))
    conduct.failed(f"key:{key.id}", None, 2.0)
    conduct.close()
    log = operator.http.get(f"{WEBHOOKS}/deliveries").json["deliveries"]
    told = next(item for item in log if item["event"] == "access.warned")
    tenant = platform.one("SELECT tenants.name FROM webhook_endpoints JOIN tenants ON tenants.id = tenant_id").name
    other: FlaskClient = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {callers.key(platform, tenant=tenant).token}"
    for url in (f"{WEBHOOKS}/deliveries", f"{WEBHOOKS}/{made['id']}/deliveries"):
        assert [item["event"] for item in other.get(url).json["deliveries"]] == ["webhook.test"]
    assert refused(other.get(f"{WEBHOOKS}/deliveries?event=access.warned"))
    assert refused(other.get(f"{WEBHOOKS}/deliveries/{told['id']}"))
    assert refused(other.post(f"{WEBHOOKS}/deliveries/{told['id']}/redeliver"))
    shown = operator.http.get(f"{WEBHOOKS}/deliveries/{told['id']}").json
    assert key.id in shown["body"]


def test_what_an_endpoint_missed_of_what_operators_are_told_is_sent_again_for_operators_alone(
    platform: Platform, app: flask.Flask, operator: Tenant
) -> None:
    made = operator.endpoint("https://example.com/hook", "job.completed", "access.warned")
    operator.http.post(f"{WEBHOOKS}/{made['id']}/test")
    conduct = Conduct(platform.engine, Ladder(errors=1, refill_s=1e9))
    conduct.failed(f"key:{callers.key(platform).id}", None, 2.0)
    conduct.close()
    missed = "UPDATE webhook_deliveries SET status = 'failed', finished_at = now() WHERE finished_at IS NULL"
    with platform.engine.begin() as connection:
        assert connection.execute(sqlalchemy.text(missed)).rowcount >= 2
    tenant = platform.one("SELECT tenants.name FROM webhook_endpoints JOIN tenants ON tenants.id = tenant_id").name
    token = callers.key(platform, tenant=tenant).token
    url, window = f"{WEBHOOKS}/{made['id']}/redeliver", {"since": "2020-01-01T00:00:00Z"}
    other = app.test_client().post(url, json=window, headers={"Authorization": f"Bearer {token}"})
    assert (other.status_code, other.json) == (202, {"count": 1, "next_after": None})
    assert operator.http.post(url, json=window).json == {"count": 1, "next_after": None}
    rows = platform.rows("SELECT event, status FROM webhook_deliveries WHERE endpoint_id IS NOT NULL ORDER BY event")
    assert [tuple(row) for row in rows] == [("access.warned", "pending"), ("webhook.test", "pending")]
