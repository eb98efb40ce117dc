"""Every route there is, asked by those who may not: refused in the same words, and nothing has changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import flask
import pytest

from access import derived, keys
from api import admission
from tests import callers
from tests.api import world
from tests.api.world import ASKED, Route, World
from tests.conftest import Platform
from tests.statements import digest

pytestmark = pytest.mark.usefixtures("quiet")
#: What is answered for an id that is nobody's, by the name of the argument.
MISSING = {
    "job_id": "JOB_NOT_FOUND", "endpoint_id": "WEBHOOK_NOT_FOUND", "delivery_id": "DELIVERY_NOT_FOUND",
    "key_id": "KEY_NOT_FOUND", "name": "MODEL_NOT_FOUND", "version": "MODEL_VERSION_NOT_FOUND",
    "subject": "BLOCK_NOT_FOUND", "tenant": "TENANT_NOT_FOUND", "tier": "TIER_NOT_FOUND",
    "shadow": "NOT_FOUND",
}  # fmt: skip
PREFIX = {"job_id": "job_", "endpoint_id": "ep_", "delivery_id": "msg_", "key_id": ""}


@pytest.fixture
def owner(platform: Platform, app: flask.Flask, quiet: None) -> World:
    return world.made(platform, app)


@pytest.fixture
def stranger(platform: Platform) -> dict[str, str]:
    """The headers of a tenant that has nothing."""
    return callers.key(platform, scopes=keys.CLIENT | {keys.MODELS}).headers


def revoked(platform: Platform, owner: World) -> dict[str, str]:
    key = callers.key(platform, tenant=owner.key.tenant, scopes=keys.SCOPES)
    keys.revoke(platform.engine, key.id)
    return key.headers


def expired(platform: Platform, owner: World) -> dict[str, str]:
    key = callers.key(platform, tenant=owner.key.tenant, scopes=keys.SCOPES)
    platform.execute("UPDATE api_keys SET expires_at = now() WHERE id = :id", id=key.id)
    return key.headers


def rotated(platform: Platform, owner: World) -> dict[str, str]:
    key = callers.key(platform, tenant=owner.key.tenant, scopes=keys.SCOPES)
    derived.rotate(platform.engine, key.id, overlap_s=0)
    return key.headers


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


#: Ways to have no right key, with the owner's at hand.
NO_KEY: Mapping[str, Callable[[Platform, World], dict[str, str]]] = {
    "none": lambda _, __: {},
    "an empty one": lambda _, __: {"X-API-Key": ""},
    "not a key": lambda _, __: bearer("secret"),
    "a mistyped one": lambda _, owner: bearer(owner.key.token[:-1] + ("1" if owner.key.token[-1] == "0" else "0")),
    "an unknown id": lambda _, owner: bearer(callers.written(secrets.token_hex(6), owner.key.secret)),
    "a wrong secret": lambda _, owner: bearer(callers.written(owner.key.id, secrets.token_hex(24))),
    "a revoked one": revoked,
    "an expired one": expired,
    "a rotated one after its overlap": rotated,
}


def test_every_route_is_asked_here(app: flask.Flask) -> None:
    assert {route.name for route in world.routes(app)} == set(ASKED)
    arguments = {name for rule in app.url_map.iter_rules() for name in rule.arguments}
    assert arguments == set(MISSING)


def test_with_the_right_key_every_route_answers_and_those_that_should_change_something(
    platform: Platform, app: flask.Flask
) -> None:
    """Without this the tests below could ask for nothing that anybody would be given."""
    # What changes nothing goes first, and needs no world of its own.
    owner = world.made(platform, app)
    for route in sorted(filter(lambda route: route.own, world.routes(app)), key=lambda route: route.asked.changes):
        before = digest(platform)
        answer = owner.ask(route, owner.key.headers)
        assert answer.status_code == route.asked.status, (route, answer.text)
        assert (digest(platform) != before) == route.asked.changes, route
        if route.asked.changes:
            owner = world.made(platform, app)


@pytest.mark.parametrize("how", NO_KEY)
def test_without_a_key_that_opens_nothing_is_answered_and_nothing_has_changed(
    platform: Platform, app: flask.Flask, owner: World, how: str
) -> None:
    headers = NO_KEY[how](platform, owner)
    before = digest(platform)
    for route in world.routes(app):
        answer = owner.ask(route, headers)
        if route.name in admission.KEYLESS:
            assert answer.status_code == (route.asked.status if route.method != "OPTIONS" else 200), route
        else:
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), route
            assert "Retry-After" not in answer.headers
            if route.tells:
                error = world.refusal(answer)
                assert (error["code"], error["message"]) == ("UNAUTHORIZED", "A valid API key is required"), route
    assert digest(platform) == before


ADMINISTRATION = dict.fromkeys(
    ("tenants", "tiers", "admin_keys", "adjustments", "audit", "blocks", "routes", "shadows", "quality"), "admin"
)
#: What a key needs for the routes of a blueprint.
WANTED = {
    "predict": "predict", "explain": "predict",
    "jobs": "jobs", "uploads": "files", "webhooks": "webhooks", "webhook_keys": "webhooks",
    "deliveries": "webhooks", "models": "models:read", "keys": "keys", "usage": "usage:read",
    "oip": "predict", "graphql": "models:read", **ADMINISTRATION,
}  # fmt: skip


def wanted(route: Route) -> tuple[str, ...]:
    if route.name == "health.metrics":
        return ("metrics", "admin")
    if route.name == "limits.show_limits":
        return ("predict", "jobs", "usage:read")
    if route.rule.endpoint in ("oip.model", "oip.model_ready"):
        return ("predict", "models:read")
    if route.rule.endpoint == "oip.index":
        return ("models:read",)
    # OPTIONS are of the address, which is that of the list as well.
    if route.name == "models.publish" and route.own:
        return ("models:write",)
    return (WANTED[route.name.partition(".")[0]],)


@pytest.mark.parametrize(
    "without",
    [keys.SCOPES, {"metrics", "admin"}, *({scope} for scope in sorted(keys.SCOPES))],
    ids=lambda lacks: " ".join(sorted(lacks)),
)
def test_without_the_scope_it_is_named_and_nothing_has_changed(
    platform: Platform, app: flask.Flask, owner: World, without: set[str]
) -> None:
    scopes = keys.SCOPES - without
    headers = callers.key(platform, tenant=owner.key.tenant, scopes=scopes).headers
    before = digest(platform)
    for route in world.routes(app):
        if route.name in admission.KEYLESS:
            continue
        if scopes & set(wanted(route)):
            continue
        answer = owner.ask(route, headers)
        assert answer.status_code == 403, route
        if route.tells:
            error = world.refusal(answer)
            assert (error["code"], error["details"]) == ("FORBIDDEN", {"scope": wanted(route)[0]}), route
            assert f"'{wanted(route)[0]}'" in error["message"]
    assert digest(platform) == before


def test_from_another_network_no_route_answers_and_nothing_has_changed(
    platform: Platform, app: flask.Flask, owner: World
) -> None:
    key = callers.key(platform, tenant=owner.key.tenant, scopes=keys.SCOPES)
    platform.execute("UPDATE api_keys SET networks = '{192.0.2.0/24}' WHERE id = :id", id=key.id)
    before = digest(platform)
    for route in world.routes(app):
        if route.name in admission.KEYLESS:
            continue
        answer = owner.ask(route, key.headers)
        assert answer.status_code == 403, route
        if route.tells:
            error = world.refusal(answer)
            assert (error["code"], error["details"]) == ("FORBIDDEN", {"received": "127.0.0.1"}), route
    assert digest(platform) == before


#: What asks a model for work.
WORK = {
    "predict.predict",
    "predict.predict_batch",
    "explain.explain",
    "oip.infer",
    "jobs.submit",
    "jobs.retry",
    "models.publish",
}


def test_for_another_model_no_route_makes_work_and_no_other_route_is_closed(
    platform: Platform, app: flask.Flask, owner: World
) -> None:
    key = callers.key(platform, tenant=owner.key.tenant, scopes=keys.SCOPES)
    platform.execute("UPDATE api_keys SET models = '{another}' WHERE id = :id", id=key.id)
    jobs = platform.one("SELECT count(*) FROM jobs")
    for route in filter(lambda route: route.own, world.routes(app)):
        before = digest(platform)
        answer = owner.ask(route, key.headers)
        assert platform.one("SELECT count(*) FROM jobs") == jobs, route
        if route.name in WORK:
            assert answer.status_code == 403, route
            if route.tells:
                error = world.refusal(answer)
                assert error["code"] == "FORBIDDEN", route
                assert error["details"] == {"field": "model", "received": "sentiment"}, route
            assert digest(platform) == before, route
        elif route.name != "keys.rotate":  # of a key that is for every model
            assert answer.status_code != 403, route


def with_ids(app: flask.Flask) -> list[tuple[Route, str]]:
    """Every route with an id of something in its address, and the name of each."""
    return [
        (route, name)
        for route in world.routes(app)
        for name in sorted(route.rule.arguments)
        if route.name != "docs_asset" and route.method != "OPTIONS"
    ]


#: Ids that are not a tenant's, of the kind that an argument is of.
IDS: Mapping[str, Callable[[World, str], str]] = {
    "missing": lambda _, name: f"{PREFIX.get(name, '')}{'0' * 32}",
    "malformed": lambda _, name: f"{PREFIX.get(name, '')}{'0' * 31}",
    "of no kind": lambda _, __: "x",
    "in capitals": lambda owner, name: owner.ids[name].upper() if name != "version" else "V1.0.0",
    "of another kind": lambda owner, name: owner.ids["delivery_id" if name != "delivery_id" else "job_id"],
}


@pytest.mark.parametrize("kind", IDS)
def test_what_is_not_there_is_told_in_the_words_of_its_kind(
    platform: Platform, app: flask.Flask, owner: World, kind: str
) -> None:
    before = digest(platform)
    for route, name in with_ids(app):
        answer = owner.ask(
            route, owner.key.headers, **{name: IDS[kind](owner, name), "waiting": IDS[kind](owner, name)}
        )
        assert answer.status_code == 404, route
        if route.tells:
            assert world.refusal(answer)["code"] == MISSING[name], route
    assert digest(platform) == before


@pytest.mark.parametrize("job", ["job_id", "waiting", "running", "chunk"])
def test_what_is_another_tenants_is_as_what_is_missing_and_stays_as_it_is(
    platform: Platform, app: flask.Flask, owner: World, stranger: dict[str, str], job: str
) -> None:
    before = digest(platform)
    for route, name in with_ids(app):
        if name not in PREFIX or route.name in admission.KEYLESS or wanted(route) == ("admin",):
            continue
        theirs = {"job_id": owner.ids[job], "waiting": owner.ids[job]} if name == "job_id" else {}
        none = {name: IDS["missing"](owner, name), "waiting": IDS["missing"](owner, name)}
        answer, missing = owner.ask(route, stranger, **theirs), owner.ask(route, stranger, **none)
        assert answer.status_code == missing.status_code == 404, route
        if route.tells:
            said, as_missing = (world.refusal(item) for item in (answer, missing))
            assert all(said[what] == as_missing[what] for what in ("code", "message", "details")), route
    assert digest(platform) == before


def test_a_chunk_is_nobodys_not_even_its_tenants(platform: Platform, app: flask.Flask, owner: World) -> None:
    before = digest(platform)
    for route, name in with_ids(app):
        if name == "job_id":
            answer = owner.ask(route, owner.key.headers, job_id=owner.ids["chunk"], waiting=owner.ids["chunk"])
            assert answer.status_code == 404, route
            assert digest(platform) == before, route


def test_no_answer_tells_a_stranger_of_what_another_tenant_has(
    app: flask.Flask, owner: World, stranger: dict[str, str]
) -> None:
    theirs = {name: value.partition("_")[2] for name, value in owner.ids.items() if "_" in value}
    assert {"job_id", "running", "chunk", "endpoint_id", "delivery_id", "upload_id"} <= set(theirs)
    for route in world.routes(app):
        if route.name not in admission.KEYLESS:
            answer = owner.ask(route, stranger)
            assert [name for name, value in theirs.items() if value in answer.text + str(answer.headers)] == [], route


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("jobs", {"upload_id": "{upload_id}"}),
        ("jobs", {"upload_id": "{upload_id}", "options": {"format": "csv"}, "webhook_url": world.HOOK}),
    ],
)
def test_what_a_body_names_is_another_tenants_and_stays_as_it_is(
    platform: Platform, app: flask.Flask, owner: World, path: str, body: dict[str, Any]
) -> None:
    key = callers.key(platform)
    # What its calls are signed with is made once, and belongs to nobody else.
    app.test_client().get("/api/v1/webhooks/jobs/secret", headers=key.headers)
    before = digest(platform)
    asked = {name: value.format(**owner.ids) if isinstance(value, str) else value for name, value in body.items()}
    answer = app.test_client().post(f"/api/v1/{path}", json=asked, headers=key.headers)
    assert (answer.status_code, world.refusal(answer)["code"]) == (404, "UPLOAD_NOT_FOUND")
    assert digest(platform) == before


def test_a_list_of_another_tenants_job_or_behind_its_job_is_empty(
    app: flask.Flask, owner: World, stranger: dict[str, str]
) -> None:
    client = app.test_client()
    mine = client.get(f"/api/v1/webhooks/deliveries?job_id={owner.ids['job_id']}", headers=owner.key.headers)
    assert len(mine.get_json()["deliveries"]) == 1
    theirs = client.get(f"/api/v1/webhooks/deliveries?job_id={owner.ids['job_id']}", headers=stranger)
    assert theirs.get_json() == {"deliveries": [], "next_before": None}
    page = client.get("/api/v1/jobs?limit=1", headers=owner.key.headers).get_json()
    behind = client.get(f"/api/v1/jobs?cursor={page['next_cursor']}", headers=stranger)
    assert behind.get_json() == {"jobs": [], "next_cursor": None}


def test_one_tenants_idempotency_key_says_nothing_to_another(
    app: flask.Flask, owner: World, stranger: dict[str, str]
) -> None:
    for route in world.routes(app):
        if route.own and route.method == "POST" and not route.rule.arguments:
            mine = owner.ask(route, {**owner.key.headers, "Idempotency-Key": route.rule.endpoint})
            theirs = owner.ask(route, {**stranger, "Idempotency-Key": route.rule.endpoint})
            # An upload is there for its tenant alone.
            refused = 404 if route.name == "models.publish" else route.asked.status
            refused = 403 if wanted(route) == ("admin",) else refused
            assert (mine.status_code, theirs.status_code) == (route.asked.status, refused), route
            assert "Idempotent-Replayed" not in theirs.headers, route
