from __future__ import annotations

import base64
import hashlib
import re

import openapi_spec_validator
import pytest
import structlog
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from sqlalchemy import text

import api
import models
from access import keys
from tests import factories
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import sign_of_life


def test_the_contract_is_valid_openapi_3_1(anonymous: FlaskClient) -> None:
    spec = anonymous.get("/openapi/v1.json").get_json()
    assert spec["openapi"] == "3.1.0"
    openapi_spec_validator.validate(spec)


def test_the_docs_need_no_internet(anonymous: FlaskClient) -> None:
    page = anonymous.get("/docs").get_data(as_text=True)
    assert "https://" not in page.replace("https://swagger.io", "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "page.css", "page.js"):
        assert f"/docs/assets/{asset}" in page
        with anonymous.get(f"/docs/assets/{asset}") as answer:
            assert (answer.status_code, answer.cache_control.max_age) == (200, 86_400)
    assert anonymous.get("/docs/assets/../../setup.cfg").status_code == 404


def test_health_and_readiness_need_no_key(anonymous: FlaskClient, platform: Platform, quiet: None) -> None:
    assert anonymous.get("/healthz").get_json() == {"status": "healthy"}
    factories.add(platform, models.Chore)
    for pool in ("cpu", "explain", "webhooks"):
        sign_of_life(platform, f"a/{pool}/1", pool=pool, receives=True, works=True)
    ready = until(lambda: (said := anonymous.get("/ready").get_json())["status"] == "ready" and said)
    assert (ready["model_loaded"], ready["problems"]) == (True, [])
    assert {name: pool["workers"] for name, pool in ready["pools"].items()} == {
        "cpu": 1, "gpu": 0, "explain": 1, "webhooks": 1, "sweep": 1
    }  # fmt: skip


def test_without_its_database_nothing_is_ready_but_the_process_lives(platform: Platform) -> None:
    dead = api.create_app(changed(platform.settings, database_url="postgresql+psycopg://a:b@127.0.0.1:1/d"))
    asks = dead.test_client()
    ready, other = asks.get("/ready"), asks.get("/v2/health/ready")
    assert (ready.status_code, ready.get_json()["status"]) == (503, "unavailable")
    assert (other.status_code, other.get_json()) == (503, {"ready": False})
    assert [asks.get(path).status_code for path in ("/healthz", "/v2/health/live")] == [200, 200]
    dead.extensions["coatcheck"].close()


@pytest.mark.parametrize(
    ("pool", "silent_s", "said"),
    [
        ("cpu", 60, "no worker of pool 'cpu' has been heard of since 20"),
        ("webhooks", 60, "no worker of pool 'webhooks' has been heard of since 20"),
        ("sweep", 120, "nobody has swept since 20"),
        ("chore", 120, "the chore 'rescue' has not succeeded since 20"),
        ("gone", 0, "no worker of pool 'cpu' has been heard of since the tables were made"),
    ],
)
def test_a_pool_that_nobody_works_on_is_not_ready_but_requests_are_answered(
    anonymous: FlaskClient, platform: Platform, quiet: None, pool: str, silent_s: float, said: str
) -> None:
    for name in {"cpu", "explain", "webhooks"} - {"cpu" if pool == "gone" else pool}:
        sign_of_life(platform, f"a/{name}/1", pool=name, receives=True, works=True)
    ago = text(f"now() - interval '{silent_s} s'")
    factories.add(platform, models.Chore, **({"succeeded_at": ago} if pool == "sweep" else {}))
    if pool == "chore":
        factories.add(platform, models.Chore, name="rescue", succeeded_at=ago)
    if pool in ("cpu", "webhooks"):
        sign_of_life(platform, f"a/{pool}/1", pool=pool, receives=True, works=True, silent_s=silent_s)
    until(lambda: any(said in item for item in anonymous.get("/ready").get_json()["problems"]))
    answer = anonymous.get("/ready")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    assert len(answer.get_json()["problems"]) == 1


def test_metrics_count_requests_and_methods_that_nobody_knows_as_one(
    anonymous: FlaskClient, platform: Platform
) -> None:
    anonymous.get("/healthz")
    for number in range(3):
        anonymous.open("/healthz", method=f"MADEUP{number}")
    others = {"HEAD": ("/healthz", 200), "OPTIONS": ("/healthz", 200)}
    others |= dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), ("unmatched", 405))
    for method in others:
        anonymous.open("/healthz", method=method)
    key = keys.create(platform.engine, tenant="monitoring", name="prometheus", scopes={"metrics"})
    text = anonymous.get("/metrics", headers={"Authorization": f"Bearer {key}"}).get_data(as_text=True)
    assert 'http_requests_total{method="GET",route="/healthz",status="200"}' in text
    assert 'http_requests_total{method="other",route="unmatched",status="405"}' in text
    for method, (route, status) in others.items():
        assert f'http_requests_total{{method="{method}",route="{route}",status="{status}"}}' in text
    assert "MADEUP" not in text


def test_a_request_is_observed_with_the_time_that_it_took_and_log_lines_name_it(anonymous: FlaskClient) -> None:
    def observed() -> list[float]:
        names = [f"http_request_duration_seconds_{what}" for what in ("count", "sum")]
        return [REGISTRY.get_sample_value(name, {"route": "/healthz"}) or 0.0 for name in names]

    before = observed()
    anonymous.get("/healthz", headers={"X-Request-ID": "mine"})
    count, seconds = (after - was for after, was in zip(observed(), before, strict=True))
    assert (count, 0 <= seconds < 60) == (1, True)
    assert structlog.contextvars.get_contextvars()["request_id"] == "mine"


def test_the_contract_is_made_once_and_sent_once(anonymous: FlaskClient) -> None:
    for path in ("/openapi/v1.json", "/docs"):
        first = anonymous.get(path)
        assert first.headers["Cache-Control"] == "no-cache"
        again = anonymous.get(path, headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")


def test_the_page_may_run_its_own_scripts_and_no_other(anonymous: FlaskClient) -> None:
    answer = anonymous.get("/docs")
    page, policy = answer.get_data(as_text=True), answer.headers["Content-Security-Policy"]
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    inline = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inline]
    assert allowed["script-src"].split() == ["'self'", *(f"'sha256-{item}'" for item in hashes)]
    assert len(inline) == page.count("<script") - len(re.findall(r'<script src="/docs/assets/[^"]+"></script>', page))
    assert not re.search(r"<[^>]+ on\w+=", page)
    assert allowed["default-src"] == allowed["frame-ancestors"] == "'none'"


def test_models_say_what_they_take(client: FlaskClient, platform: Platform) -> None:
    names = [model["name"] for model in client.get("/api/v1/models").get_json()["models"]]
    assert names == sorted(names)
    assert {"sentiment", "speech", "tumor"} <= set(names)
    version = client.get("/api/v1/models/sentiment/versions/1.0.0").get_json()
    assert version["input_schema"]["properties"]["text"]["maxLength"] == 1000
    assert version["input_schema"]["additionalProperties"] is False
    assert client.get("/api/v1/models/nope").status_code == 404
    assert client.get("/api/v1/models/sentiment/versions/9.0.0").status_code == 404
