"""Every route's good answer is what the contract says: all that it promises, and nothing that it does not name."""

from __future__ import annotations

import re
from typing import Any

import flask
import jsonschema
import pytest
from flask.testing import FlaskClient

from api import EDITIONS
from tests.api import world
from tests.conftest import Platform

pytestmark = pytest.mark.usefixtures("quiet")


def closed(schema: Any) -> Any:
    """The same, in which what is not named is not allowed."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(value) for name, value in schema.items()}
    if isinstance(made.get("properties"), dict) and "allOf" not in made:
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.parametrize("contract", [f"/openapi/{edition.name}.json" for edition in EDITIONS])
def test_every_answer_has_what_the_contract_names_and_nothing_else(
    platform: Platform, app: flask.Flask, anonymous: FlaskClient, contract: str
) -> None:
    spec = anonymous.get(contract).get_json()
    owner, judged = world.made(platform, app), set()
    for route in world.routes(app):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule.rule)
        operation = spec["paths"].get(path, {}).get(route.method.lower())
        if operation is None or not route.own:
            continue
        answer = owner.ask(route, {**owner.key.headers, "Idempotency-Key": route.rule.endpoint})
        said = operation["responses"][str(answer.status_code)]
        if "$ref" in said:
            said = spec["components"]["responses"][said["$ref"].rpartition("/")[2]]
        schema = said.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            continue
        whole = closed({**schema, "components": {"schemas": spec["components"]["schemas"]}})
        faults = list(jsonschema.Draft202012Validator(whole).iter_errors(answer.get_json()))
        assert not faults, (operation["operationId"], [(list(item.path), item.message) for item in faults])
        judged.add(operation["operationId"])
    assert len(judged) > 20
