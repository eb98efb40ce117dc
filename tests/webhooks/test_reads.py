"""Every statement of `webhooks` that reads: what others have changes nothing of it, and a stranger is told nothing.

A new statement that reads needs a case here, or a word on where it is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

import models
import webhooks
from core import errors
from core.seal import Seal
from tests import factories, statements
from tests.conftest import Platform
from tests.factories import PAST
from webhooks import backlog, deliveries, endpoints, signing, signing_keys
from webhooks.signing import Signing

READING = {name.removeprefix("webhooks.") for name in statements.constants(webhooks)} - set(
    statements.writing(webhooks)
)


@dataclass(frozen=True)
class Scene:
    """A tenant with an endpoint, and a delivery to it."""

    platform: Platform
    tenant: UUID
    endpoint: UUID
    delivery: deliveries.Delivery

    @property
    def seal(self) -> Seal:
        return Seal(self.platform.settings.sealing)

    @property
    def owner(self) -> signing_keys.Owner:
        return self.tenant, self.endpoint

    def keys(self) -> Mapping[signing_keys.Owner, Any]:
        with self.platform.engine.connect() as connection:
            return signing_keys.of_many(connection, {self.owner})

    def page(self, **filters: Any) -> object:
        return deliveries.page(self.platform.engine, self.tenant, filters, limit=10)


CASES: Mapping[str, Callable[[Scene], object]] = {
    "deliveries._GET": lambda s: deliveries.get(s.platform.engine, s.tenant, s.delivery.id),
    "deliveries._ATTEMPTS": lambda s: deliveries.attempts(s.platform.engine, s.delivery),
    "endpoints._GET": lambda s: endpoints.get(s.platform.engine, s.tenant, s.endpoint),
    "endpoints._LIST": lambda s: endpoints.of_tenant(s.platform.engine, s.tenant),
    "endpoints._PUBLIC": lambda s: endpoints.public_keys(s.platform.engine, s.seal, s.endpoint),
    "signing_keys._GOOD": lambda s: signing_keys.good(s.platform.engine, s.seal, s.owner),
    "signing_keys._GOOD_OF_MANY": Scene.keys,
    "deliveries.page": Scene.page,
}

ELSEWHERE = {
    "endpoints._ALONE": "a lock: test_endpoints, of many that are made at once",
    "endpoints._COUNT": "test_limits, of a tenant's endpoints beside another's",
    "signing_keys._ALONE": "a lock: test_limits, of many who rotate at once",
    "signing_keys._HOLD": "test_fences, of a stranger's rotation, and test_endpoints, of one while it is deleted",
    "outbox._HOLD": "a lock: test_outbox, of an endpoint that is given another address during a call",
    "outbox._URLS": "test_outbox, of an endpoint that was switched off, moved or deleted during a call",
    "backlog._BACKLOG": "all tenants': test_limits, and tests/api/test_exposition.py",
    "outbox._DUE": "all tenants': test_outbox",
}


def sealed(platform: Platform, owner: signing_keys.Owner, **given: Any) -> None:
    """A key of an endpoint's that can be opened."""
    key = signing.new_key(Signing.V1A)
    sealed = Seal(platform.settings.sealing).seal(key.secret, signing_keys.context(owner))
    about = {"tenant_id": owner[0], "endpoint_id": owner[1], "sealed": sealed, "public_key": key.public}
    factories.add(platform, models.WebhookSecret, **about, **given)


def endpoint(platform: Platform, tenant: UUID) -> UUID:
    """With a key, and failures."""
    found = UUID(str(factories.add(platform, models.WebhookEndpoint, tenant_id=tenant, signing="v1a")["id"]))
    sealed(platform, (tenant, found))
    factories.add(platform, models.WebhookTrouble, target=str(found), failures=3)
    return found


def deliver(platform: Platform, tenant: UUID, to: UUID | None, **given: Any) -> UUID:
    """A delivery that was tried twice."""
    made = factories.add(platform, models.WebhookDelivery, tenant_id=tenant, endpoint_id=to, **given)
    for attempt in (1, 2):
        factories.add(platform, models.WebhookAttempt, delivery_id=made["id"], attempt=attempt, error="TIMED_OUT")
    return UUID(str(made["id"]))


@pytest.fixture
def scene(platform: Platform) -> Scene:
    factories.clear(platform)
    tenant = factories.tenant(platform)
    mine = endpoint(platform, tenant)
    made = deliver(platform, tenant, mine, status="failed", job_id=uuid4())
    return Scene(platform, tenant, mine, deliveries.get(platform.engine, tenant, made))


def others(scene: Scene, *, tenant: bool) -> None:
    """All that another tenant has; or else this one, of another endpoint, of jobs of its own, and of other days."""
    platform, owner = scene.platform, factories.tenant(scene.platform) if tenant else scene.tenant
    theirs = endpoint(platform, owner)
    sealed(platform, (owner, None))
    sealed(platform, (owner, theirs), retires_at=PAST)
    for to in (theirs, None):
        deliver(platform, owner, to, status="failed", job_id=uuid4())
    if not tenant:
        sealed(platform, scene.owner, retires_at=PAST)


def test_every_statement_that_reads_has_a_case_or_a_place_where_it_is_tested() -> None:
    assert (set(CASES) - {"deliveries.page"}) | set(ELSEWHERE) == READING
    assert not set(CASES) & set(ELSEWHERE)


@pytest.mark.parametrize("name", CASES)
def test_what_another_tenant_has_changes_nothing_of_what_a_tenant_is_shown(scene: Scene, name: str) -> None:
    before = CASES[name](scene)
    assert before
    others(scene, tenant=True)
    assert CASES[name](scene) == before


@pytest.mark.parametrize("name", sorted(set(CASES) - {"endpoints._LIST", "deliveries.page"}))
def test_what_is_asked_of_one_endpoint_or_delivery_says_nothing_of_the_tenants_others(scene: Scene, name: str) -> None:
    def mine() -> object:
        found = CASES[name](scene)
        # All keys of those who were asked for come at once.
        return found[scene.owner] if isinstance(found, dict) else found

    before = mine()
    others(scene, tenant=False)
    assert mine() == before


@pytest.mark.parametrize("name", sorted(set(CASES) - {"deliveries._ATTEMPTS", "endpoints._PUBLIC"}))
def test_a_stranger_who_knows_every_id_is_told_nothing(scene: Scene, name: str) -> None:
    stranger = factories.tenant(scene.platform)
    asked = Scene(scene.platform, stranger, scene.endpoint, scene.delivery)
    try:
        found = CASES[name](asked)
    except (errors.DeliveryNotFound, errors.WebhookNotFound):
        return
    assert found in ([], {}, ([], None))


def test_attempts_are_numbered_from_one_in_their_order_however_often_the_delivery_was_claimed(scene: Scene) -> None:
    scene.platform.execute("UPDATE webhook_attempts SET attempt = 5, error = 'WORKER_LOST' WHERE attempt = 1")
    found = deliveries.attempts(scene.platform.engine, scene.delivery)
    assert [(item.attempt, item.error) for item in found] == [(1, "TIMED_OUT"), (2, "WORKER_LOST")]
    assert deliveries.get(scene.platform.engine, scene.tenant, scene.delivery.id).attempts == 2


@pytest.mark.parametrize("name", deliveries._CONDITIONS)
def test_the_log_is_filtered_by_each_of_what_can_be_asked_for(scene: Scene, name: str) -> None:
    platform, found = scene.platform, scene.delivery
    asked = {"endpoint_id": scene.endpoint, "job_id": found.job_id, "status": "failed", "event": "job.completed",
             "without": ["job.failed"], "before": found.sequence + 1}  # fmt: skip
    assert set(asked) == set(deliveries._CONDITIONS)
    mine = {"status": "failed", "event": "job.completed"}
    other: dict[str, dict[str, Any]] = {
        "endpoint_id": {"job_id": found.job_id}, "job_id": {"job_id": uuid4()}, "status": {"status": "delivered"},
        "event": {"event": "job.failed"}, "without": {"event": "job.failed"}, "before": {},
    }  # fmt: skip
    deliver(platform, scene.tenant, None if name == "endpoint_id" else scene.endpoint, **{**mine, **other[name]})
    assert scene.page(**{name: asked[name]}) == ([_listed(found)], None)
    assert len(scene.page()[0]) == 2  # type: ignore[index]


def _listed(found: deliveries.Delivery) -> deliveries.Delivery:
    """As a list has it."""
    return deliveries.Delivery(**{**vars(found), "body": ""})


@pytest.mark.parametrize(("pending", "minutes"), [((), 0), ((10,), 10), ((5, 10, 1), 10)])
def test_what_is_owed_counts_what_waits_alone_and_from_when_the_first_of_it_was_due(
    scene: Scene, pending: tuple[int, ...], minutes: int
) -> None:
    states = [("pending", ago) for ago in pending] + [("failed", 60), ("sending", 60)]
    for status, ago in states:
        given = {"next_at": text(f"now() - interval '{ago} min'"), "status": status}
        deliver(scene.platform, scene.tenant, scene.endpoint, **given)
    found = backlog.read(scene.platform.engine)
    assert (found.pending, round(found.overdue_s / 60)) == (len(pending), minutes)
    assert pending or found.overdue_s == 0
