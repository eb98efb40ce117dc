"""What is to be sent again by hand goes out at once: whoever sends is waked for it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient

import models
from core import broker, ids
from tests import factories
from tests.api.world import HOOK
from tests.conftest import Platform

WEBHOOKS = "/api/v1/webhooks"
HINT = f"{broker.KEY_PREFIX}hint:{broker.WEBHOOKS}"


@pytest.fixture
def endpoint(client: FlaskClient) -> str:
    made = client.post(WEBHOOKS, json={"url": HOOK, "events": ["job.completed"]})
    return str(made.get_json()["id"])


@pytest.fixture
def failed(platform: Platform, endpoint: str) -> uuid.UUID:
    """A delivery to it that was given up."""
    endpoint_id = ids.parse_endpoint_id(endpoint)
    tenant_id = platform.one("SELECT tenant_id FROM webhook_endpoints WHERE id = :id", id=endpoint_id)[0]
    given = {"tenant_id": tenant_id, "endpoint_id": endpoint_id, "job_id": uuid.uuid4(), "status": "failed"}
    return uuid.UUID(str(factories.add(platform, models.WebhookDelivery, **given)["id"]))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("{endpoint}/test", None),
        ("deliveries/{delivery}/redeliver", None),
        ("{endpoint}/redeliver", {"since": "2020-01-01T00:00:00Z"}),
    ],
    ids=["a test", "one", "all"],
)
def test_what_is_to_be_sent_wakes_who_sends(
    platform: Platform, client: FlaskClient, endpoint: str, failed: uuid.UUID, path: str, body: dict[str, Any] | None
) -> None:
    asked = path.format(endpoint=endpoint, delivery=ids.delivery_id(failed))
    platform.line.redis.delete(HINT)
    answer = client.post(f"{WEBHOOKS}/{asked}", **({} if body is None else {"json": body}))
    assert answer.status_code == 202, answer.text
    assert platform.line.redis.exists(HINT)
    if body is None:
        assert answer.headers["Location"] == f"{WEBHOOKS}/deliveries/{answer.get_json()['id']}"
    else:
        assert answer.get_json() == {"count": 1, "next_after": None}
