from __future__ import annotations

import openapi_spec_validator
from flask.testing import FlaskClient

from tests.conftest import Platform


def test_the_contract_is_valid_openapi_3_1(anonymous: FlaskClient) -> None:
    spec = anonymous.get("/openapi/v1.json").get_json()
    assert spec["openapi"] == "3.1.0"
    openapi_spec_validator.validate(spec)


def test_the_docs_need_no_internet(anonymous: FlaskClient) -> None:
    page = anonymous.get("/docs").get_data(as_text=True)
    assert "https://" not in page.replace("https://swagger.io", "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-standalone-preset.js"):
        assert f"/docs/assets/{asset}" in page
        with anonymous.get(f"/docs/assets/{asset}") as answer:
            assert answer.status_code == 200
    assert anonymous.get("/docs/assets/../../setup.cfg").status_code == 404


def test_health_and_readiness_need_no_key(anonymous: FlaskClient) -> None:
    assert anonymous.get("/healthz").get_json() == {"status": "healthy"}
    ready = anonymous.get("/ready").get_json()
    assert (ready["status"], ready["model_loaded"]) == ("ready", True)


def test_metrics_count_requests(anonymous: FlaskClient) -> None:
    anonymous.get("/healthz")
    text = anonymous.get("/metrics").get_data(as_text=True)
    assert 'http_requests_total{method="GET",route="/healthz",status="200"}' in text


def test_models_say_what_they_take(client: FlaskClient, platform: Platform) -> None:
    names = [model["name"] for model in client.get("/api/v1/models").get_json()["models"]]
    assert names == ["sentiment", "speech", "tumor"]
    version = client.get("/api/v1/models/sentiment/versions/1.0.0").get_json()
    assert version["input_schema"]["properties"]["text"]["maxLength"] == 1000
    assert version["input_schema"]["additionalProperties"] is False
    assert client.get("/api/v1/models/nope").status_code == 404
    assert client.get("/api/v1/models/sentiment/versions/9.0.0").status_code == 404
