"""Who has no key: refused everywhere, or let in where it is set, and then to what answers at once and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import pytest
from flask.testing import FlaskClient

import api
from access import tenants
from api import admission
from core import errors
from tests import callers
from tests.api.test_doors import routes
from tests.api.world import GOOD
from tests.changed import changed
from tests.conftest import Platform

PREDICT = "/api/v1/predict"
SLOW = {"X-Model-Version": "2.1.0"}  # of sentiment, which is not inline
#: What a stranger may ask.
OPEN = {
    "predict.predict",
    "predict.predict_batch",
    "explain.explain",
    "models.list_models",
    "models.show_model",
    "models.show_version",
    "limits.show_limits",
    "oip.infer",
    "oip.model",
    "oip.model_ready",
    "oip.index",
    "graphql.ask",
}


@pytest.fixture
def lets_in(platform: Platform) -> Iterator[flask.Flask]:
    made = api.create_app(changed(platform.settings, anonymous=True, trusted_proxies=("127.0.0.1",)))
    yield made
    made.extensions["coatcheck"].close()


@pytest.fixture
def stranger(lets_in: flask.Flask) -> FlaskClient:
    return lets_in.test_client()


def test_strangers_are_refused_unless_they_are_let_in(anonymous: FlaskClient) -> None:
    assert anonymous.post(PREDICT, json={"inputs": GOOD}).status_code == 401
    assert anonymous.get("/api/v1/models").status_code == 401


def test_a_stranger_reads_which_models_there_are_and_predicts_with_those_that_answer_at_once(
    stranger: FlaskClient, platform: Platform
) -> None:
    answer = stranger.post(PREDICT, json={"inputs": GOOD})
    assert (answer.status_code, answer.get_json()["prediction"]) == (200, "positive")
    assert stranger.post(f"{PREDICT}/batch", json={"inputs": [GOOD, GOOD]}).status_code == 200
    assert stranger.get("/api/v1/models/sentiment/versions/1.0.0").status_code == 200
    assert [item.tier for item in tenants.listed(platform.engine) if item.name == "anonymous"] == ["anonymous"]


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("", SLOW, {"inputs": GOOD}),
        ("/batch", SLOW, {"inputs": [GOOD]}),
        ("", {"Prefer": "respond-async"}, {"inputs": GOOD}),
        ("", {}, {"inputs": GOOD, "options": {"async": True}}),
        ("", {"Idempotency-Key": "1"}, {"inputs": GOOD}),
        ("/batch", {"Idempotency-Key": "1"}, {"inputs": [GOOD]}),
    ],
)
def test_what_would_be_kept_for_a_stranger_is_refused_and_nothing_is(
    stranger: FlaskClient, platform: Platform, path: str, headers: dict[str, str], body: dict[str, object]
) -> None:
    answer = stranger.post(PREDICT + path, headers=headers, json=body)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "needs an API key" in answer.get_json()["error"]["message"]
    assert platform.one("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM idempotency_keys)") == (0, 0)


def test_every_other_route_says_to_a_stranger_what_it_says_where_strangers_are_refused(
    lets_in: flask.Flask, stranger: FlaskClient, anonymous: FlaskClient
) -> None:
    asked = set()
    for endpoint, method, path in routes(lets_in):
        # Which methods there are is of an address, and not of a route.
        if endpoint in admission.KEYLESS or method == "OPTIONS":
            continue
        asked.add(endpoint)
        found = stranger.open(path, method=method).status_code
        assert (found == 401) == (endpoint not in OPEN), (method, path)
        assert anonymous.open(path, method=method).status_code == 401
    assert asked >= OPEN


@pytest.mark.parametrize("shown", [{"X-API-Key": ""}, {"X-API-Key": "x"}, {"Authorization": "Bearer x"}])
def test_a_key_that_opens_nothing_makes_nobody_a_stranger(stranger: FlaskClient, shown: dict[str, str]) -> None:
    assert stranger.get("/api/v1/models", headers=shown).status_code == 401


def test_strangers_share_a_tenant_and_each_network_is_a_party_of_its_own(
    lets_in: flask.Flask, platform: Platform
) -> None:
    here = lets_in.extensions["coatcheck"]
    a, b = (here.callers.verify(None, network) for network in ("8.8.8.8", "2001:db8::7"))
    assert (a.tenant_id, a.tier.name) == (b.tenant_id, "anonymous")
    assert (a.party, b.party) == ("8.8.8.8", "2001:db8::/64")
    token = callers.key(platform).token
    assert here.callers.verify(token, "8.8.8.8").network is None


def test_a_strangers_network_is_the_clients_and_not_the_proxys(lets_in: flask.Flask) -> None:
    with lets_in.test_client() as client:
        client.get("/api/v1/models", headers={"X-Forwarded-For": "6.6.6.6, 2001:db8:0:1:2::3"})
        assert flask.g.caller.network == "2001:db8:0:1::/64"


def test_strangers_are_let_in_again_as_soon_as_the_database_answers(platform: Platform) -> None:
    dead = api.create_app(changed(platform.settings, anonymous=True, database_url="postgresql://a:b@127.0.0.1:1/d"))
    here = dead.extensions["coatcheck"]
    with pytest.raises(errors.Unavailable):
        here.callers.verify(None, "8.8.8.8")
    assert dead.test_client().get("/api/v1/models").status_code == 503
    here.close()
