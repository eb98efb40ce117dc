"""Reading about models by GraphQL: what is answered, to whom, and what is refused before anything is looked up."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
import uuid
from typing import Any

import flask
import graphql
import pytest
from flask.testing import FlaskClient

import models
from access import usage
from api.graphql import cost, resolve
from core import errors
from inference import bundle
from jobs.drain import Drainer
from tests import callers, factories, graphs
from tests.conftest import ROOT, Platform, until
from tests.statements import issued

#: As the tools of others ask it.
INTROSPECTION = graphql.get_introspection_query()
EVERYTHING = """
fragment all on Version {
  model version stable deprecation { at message sunsetAt } digest kind summary licence labels pool inline maxBatch units
  explanation fields { name type description required default minLength maxLength minimum maximum enum }
  inputSchema outputSchema example
}
query all($name: String!) {
  model(name: $name) { name summary stable { ...all } version(number: "1") { ...all } versions(first: 5) { version } }
}
"""
ROUTES = """
query routes($name: String!) { model(name: $name) { routes { by canaries { name version percent trial }
  shadows { name version percent report } aliases { name version }
  experiments { name percent variants { name version weight } } } } }
"""
CANARY, SHADOW = ({"name": name, "version": "2.0.0", "percent": part} for name, part in (("next", 10), ("beside", 100)))


def ask(client: FlaskClient, query: str, **variables: object) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def asked_by(app: flask.Flask, key: callers.Key) -> FlaskClient:
    found = app.test_client()
    found.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key.token}"
    return found


def test_everything_that_rest_tells_of_a_version_is_told(client: FlaskClient) -> None:
    found = ask(client, EVERYTHING, name="sentiment")["data"]["model"]
    rest = client.get("/api/v1/models/sentiment/versions/1").get_json()
    mine = found["version"]
    same = ("model", "version", "stable", "digest", "kind", "summary", "labels", "pool", "inline", "units", "licence",
            "explanation", "example")  # fmt: skip
    assert {name: mine[name] for name in same} == {name: rest[name] for name in same}
    assert (mine["inputSchema"], mine["outputSchema"]) == (rest["input_schema"], rest["output_schema"])
    assert mine["maxBatch"] == rest["max_batch"]
    assert mine["deprecation"] is None
    text = mine["fields"][0]
    limits = rest["input_schema"]["properties"]["text"]
    assert (text["name"], text["required"], text["maxLength"]) == ("text", True, limits["maxLength"])
    assert [item["version"] for item in found["versions"]] == ["2.1.0", "1.0.0"]
    assert (found["name"], found["stable"]["version"]) == ("sentiment", "1.0.0")


def test_a_number_that_is_too_long_to_be_read_is_refused(client: FlaskClient) -> None:
    answer = client.post("/graphql", json={"query": f"{{ models(first: {'9' * 5000}) {{ next }} }}"})
    [error] = answer.get_json()["errors"]
    assert (answer.status_code, error["extensions"]["code"]) == (400, "MALFORMED_REQUEST")


def test_a_version_s_card_is_told_as_its_bundle_has_it(client: FlaskClient) -> None:
    query = '{ model(name: "sentiment") { versions { version card } } }'
    found = {item["version"]: item["card"] for item in ask(client, query)["data"]["model"]["versions"]}
    assert found == {
        version: (ROOT / "bundles" / folder / "CARD.md").read_text()
        for version, folder in (("1.0.0", "sentiment-1"), ("2.1.0", "sentiment-2"))
    }


def test_a_version_without_a_card_has_none_and_many_cards_are_too_much(
    platform: Platform, client: FlaskClient, tmp_path: pathlib.Path
) -> None:
    name = callers.name("plain").lower()
    platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / "plain", name=name)))
    assert ask(client, "query ($name: String!) { model(name: $name) { stable { card } } }", name=name)["data"] == {
        "model": {"stable": {"card": None}}
    }
    refused = client.post("/graphql", json={"query": "{ models { items { versions { card } } } }"})
    assert (refused.status_code, refused.get_json()["error"]["details"]["field"]) == (422, "query")


def test_what_there_is_not_is_null(client: FlaskClient) -> None:
    query = """query ($name: String!) { model(name: $name) { version(number: "9") { version } } }"""
    assert ask(client, query, name="nothing")["data"] == {"model": None}
    assert ask(client, query, name="sentiment")["data"] == {"model": {"version": None}}


def test_all_models_are_told_in_parts(client: FlaskClient) -> None:
    query = "query ($after: String) { models(first: 2, after: $after) { items { name } next } }"
    names, after = [], None
    while True:
        part = ask(client, query, after=after)["data"]["models"]
        names += [item["name"] for item in part["items"]]
        if (after := part["next"]) is None:
            break
        assert len(part["items"]) == 2
    assert names == sorted(item["name"] for item in client.get("/api/v1/models").get_json()["models"])


def test_use_is_one_s_own_and_asked_for_once(platform: Platform, app: flask.Flask) -> None:
    key, other = callers.key(platform), callers.key(platform)
    for who, units in ((key, 5), (key, 2), (other, 1000)):
        tenant = uuid.UUID(str(platform.one("SELECT id FROM tenants WHERE name = :name", name=who.tenant)[0]))
        told = {"model": "sentiment", "version": "1.0.0", "units": units, "price": units, "tenant_id": tenant}
        factories.add(platform, models.Usage, **told)
    client = asked_by(app, key)
    query = "{ models(first: 100) { items { name versions(first: 4) { version usage { calls units price } } } } }"
    ask(client, query)
    with issued(app.extensions["coatcheck"].engine, here=True) as statements:
        found = ask(client, query)["data"]["models"]["items"]
    assert len([item for item in statements if "usage" in str(item)]) == 1
    used = {(item["name"], one["version"]): one["usage"] for item in found for one in item["versions"]}
    assert used["sentiment", "1.0.0"] == {"calls": 2, "units": 7, "price": "7"}
    assert used["sentiment", "2.1.0"] == {"calls": 0, "units": 0, "price": "0"}


def test_a_database_that_does_not_answer_is_waited_for_once_however_much_is_asked_for(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def away(*_: object) -> None:
        waits.append(1)
        raise errors.Unavailable

    monkeypatch.setattr(usage, "read", away)
    found = ask(client, "{ models { items { versions { version usage { calls } } } } }")
    versions = [version for item in found["data"]["models"]["items"] for version in item["versions"]]
    assert {version["usage"] for version in versions} == {None}
    assert [error["extensions"]["code"] for error in found["errors"]] == ["UNAVAILABLE"] * len(versions)
    assert (len(waits), len(versions) > 1) == (1, True)


@pytest.mark.parametrize(
    "field", ["labels", "example", "inputSchema", "outputSchema", "card", "fields { enum default }"]
)
def test_what_is_long_is_not_told_again_and_again(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    # Under other names, of other fields, or of the same: all of it counts.
    query = f'{{ model(name: "sentiment") {{ a: stable {{ {field} }} b: stable {{ {field} }} }} }}'
    assert "errors" not in ask(client, query)
    monkeypatch.setattr(resolve, "MOST_BYTES", 5)
    found = ask(client, query)
    assert {error["extensions"]["code"] for error in found["errors"]} == {"INVALID_INPUT"}
    assert "answers more than" in found["errors"][-1]["message"]


@pytest.mark.parametrize(("field", "scope"), [("stable { usage { units } }", "usage:read"), ("routes { by }", "admin")])
def test_what_needs_another_scope_is_null_beside_the_rest_and_said_to_be(
    platform: Platform, app: flask.Flask, field: str, scope: str
) -> None:
    query = f'{{ model(name: "sentiment") {{ name {field} }} }}'
    without = asked_by(app, callers.key(platform, scopes=("models:read",)))
    found = ask(without, query)
    assert found["data"]["model"]["name"] == "sentiment"
    (error,) = found["errors"]
    assert (error["extensions"]["code"], error["path"][:1]) == ("FORBIDDEN", ["model"])
    assert scope in error["message"]
    assert "errors" not in ask(asked_by(app, callers.key(platform, scopes=("models:read", scope))), query)


def test_tools_are_told_the_schema(client: FlaskClient) -> None:
    told = graphql.build_client_schema(ask(client, INTROSPECTION)["data"])
    assert graphql.print_schema(told) == graphql.print_schema(resolve.schema())


@pytest.fixture
def routed(platform: Platform, client: FlaskClient, tmp_path: pathlib.Path) -> str:
    """A model with a canary, a shadow that has been asked nothing yet, and an alias."""
    name = f"m{uuid.uuid4().hex}"
    for version in ("1.0.0", "2.0.0"):
        platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / version, name=name, version=version)))
    body = {"canaries": [CANARY], "shadows": [SHADOW], "aliases": {"old": "1.0.0"}}
    assert client.patch(f"/api/v1/admin/routes/{name}", json=body).status_code == 200
    return name


def test_who_administers_is_told_who_gets_which_version(client: FlaskClient, routed: str) -> None:
    asked = {"query": EVERYTHING + ROUTES, "operationName": "routes", "variables": {"name": routed}}
    (trial,) = client.get(f"/api/v1/admin/routes/{routed}").get_json()["trials"]
    assert (trial["canary"], trial["state"]) == ("next", "running")
    found = {
        "by": "request",
        "canaries": [{**CANARY, "trial": trial}],
        "aliases": [{"name": "old", "version": "1.0.0"}],
        "experiments": [],
        "shadows": [{**SHADOW, "report": None}],
    }
    # Other processes know of it within a second.
    until(lambda: client.post("/graphql", json=asked).get_json() == {"data": {"model": {"routes": found}}})


def test_a_shadow_s_report_is_the_one_that_rest_gives(
    app: flask.Flask, client: FlaskClient, drainer: Drainer, routed: str
) -> None:
    shadows = app.extensions["coatcheck"].serving.shadows

    def compared() -> Any:
        client.post("/api/v1/predict", json={"model": routed, "inputs": {"x": 2, "y": 1}})
        shadows.store()
        drainer.drain("cpu", "wake")
        return shown()[0]["report"]

    def shown() -> Any:
        return ask(client, ROUTES, name=routed)["data"]["model"]["routes"]["shadows"]

    until(shown)
    report = until(compared)
    assert report["pairs"] > 0
    assert report == client.get(f"/api/v1/admin/shadows/{routed}/beside").get_json()


SPREAD = "fragment f0 on Query { models { next } } " + " ".join(
    f"fragment f{n} on Query {{ ...f{n - 1} ...f{n - 1} }}" for n in range(1, 40)
)
MANY = " ".join(f"a{n}: models(first: 100) {{ items {{ name summary }} }}" for n in range(60))
#: Queries that would cost much, and what is said of them.
HOSTILE = {
    "wide": ("{ models(first: 100) { items { versions(first: 100) { fields { name } } } } }", "values"),
    "by a variable": (
        "query ($n: Int) { models(first: $n) { items { versions(first: $n) { fields { name } } } } }", "values",
    ),
    "of many reports": ("{ models(first: 10) { items { routes { shadows { report } } } } }", "values"),
    "by many names": ("{ " + MANY + " }", "values"),
    "by fragments": ("query { ...f39 } " + SPREAD, "values"),
    "long": ("{ " + "a " * 1100 + "}", "tokens"),
    "deep": ("{ " + "a { " * 300 + "a" + " }" * 301, "nested"),
    "in circles": ("{ models { items { ...f } } } fragment f on Model { name ...f }", "itself"),
    "of long schemas": (
        "{ model(name: \"tumor\") { " + " ".join(f"s{n}: stable {{ ...f }}" for n in range(20)) + " } } "
        "fragment f on Version { " + " ".join(f"a{n}: inputSchema" for n in range(20)) + " }", "values",
    ),
    "of versions that are not there": (
        "{ " + " ".join(f"m{n}: model(name: \"sentiment\") {{ ...f }}" for n in range(40)) + " } "
        "fragment f on Model { " + " ".join(f"v{n}: version(number: \"9\") {{ version }}" for n in range(40)) + " }",
        "values",
    ),
    "introspective by other names": ("{ " + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(9)) + " }",
                                     "aliases"),
    "introspective by other names within": (
        "{ __schema { types { ...f } } } fragment f on __Type { ...g } fragment g on __Type { "
        + " ".join(f"f{n}: fields {{ name description }}" for n in range(30)) + " }", "aliases",
    ),
    "introspective again and again": ("{ " + "__schema { types { name } } " * 30 + "}", "values"),
    "introspective": (
        "{ __schema { types { " + "fields { type { " * 12 + "name" + " } } " * 12 + "} } }", "introspection",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sort", HOSTILE)
def test_a_hostile_query_is_refused_before_anything_is_looked_up(
    app: flask.Flask, client: FlaskClient, sort: str
) -> None:
    query, said = HOSTILE[sort]
    ask(client, "{ models { next } }")
    with issued(app.extensions["coatcheck"].engine, here=True) as statements:
        began = time.thread_time()
        answer = client.post("/graphql", json={"query": query, "variables": {"n": 100}})
        assert time.thread_time() - began < 1.0
    assert answer.status_code in (400, 422)
    assert said in answer.text
    assert len(answer.data) < 10_000
    assert statements == []


def test_what_an_address_says_besides_is_refused(client: FlaskClient) -> None:
    answer = client.post("/graphql?query=x", json={"query": "{ models { next } }"})
    assert answer.status_code == 422
    assert answer.get_json()["error"]["details"]["field"] == "query"


@pytest.mark.parametrize(("names", "refused"), [(99, False), (100, True)])
def test_the_name_of_a_type_is_one_value_of_each_of_a_list(names: int, refused: bool) -> None:
    asked = " ".join(f"a{number}: __typename" for number in range(names))
    query = graphql.parse(f"{{ models(first: 100) {{ items {{ {asked} }} }} }}")
    with pytest.raises(errors.InvalidInput) if refused else contextlib.nullcontext():
        cost.check(query, {})


def test_depth_is_of_fields_one_inside_the_other() -> None:
    nested = graphql.parse("{ a { b { c { d { e { f { g { h } } } } } } } }")
    cost.check(nested, {})
    with pytest.raises(Exception, match="Input validation failed"):
        cost.check(graphql.parse("{ a { b { c { d { e { f { g { h { i } } } } } } } } }"), {})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"query": ""}, 422),
        ({"query": 5}, 422),
        ({"query": "{ models { next } }", "more": 1}, 422),
        ({"query": "{ models { next } }", "variables": []}, 422),
        ({"query": "x" * 20_001}, 422),
        ({"query": "{"}, 400),
        ({"query": "mutation { models { next } }"}, 400),
        ({"query": "{ nothing }"}, 400),
        ({"query": "query a { models { next } } query b { models { next } }"}, 400),
        ({"query": "query ($n: Int!) { models(first: $n) { next } }"}, 400),
        ({"query": "query ($n: Int) { models(first: $n) { next } }", "variables": {"n": "many"}}, 400),
    ],
)
def test_what_is_no_query_is_refused_with_what_is_wrong(client: FlaskClient, body: dict[str, Any], status: int) -> None:
    answer = client.post("/graphql", json=body)
    assert answer.status_code == status, answer.text
    assert answer.get_json().keys() & {"errors", "error"}
    assert "data" not in answer.get_json()


def test_what_there_is_not_is_looked_up_once_however_often_it_is_asked_for(
    app: flask.Flask, client: FlaskClient
) -> None:
    names = " ".join(f'a{n}: model(name: "nothing{n}") {{ name }}' for n in range(20))
    numbers = " ".join(f'b{n}: version(number: "9.{n}") {{ version }}' for n in range(20))
    ask(client, "{ models { next } }")
    with issued(app.extensions["coatcheck"].engine, here=True) as statements:
        found = ask(client, f'{{ {names} model(name: "sentiment") {{ {numbers} }} }}')["data"]
    assert {*found.pop("model").values(), *found.values()} == {None}
    # The second is another thread's turn to read what is half a second old.
    assert len(statements) <= 2, statements


@pytest.mark.parametrize("first", [0, -1, 101, None])
def test_a_part_has_bounds(client: FlaskClient, first: int | None) -> None:
    answer = ask(client, "query ($n: Int) { models(first: $n) { next } }", n=first)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"
    assert answer["errors"][0]["message"] == "first must be from 1 to 100"


def test_what_is_our_own_fault_is_no_part_of_an_answer(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    field = resolve.schema().query_type.fields["models"]

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(field, "resolve", broken)
    client.application.testing = False
    answer = client.post("/graphql", json={"query": "{ models { next } }"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (500, "INTERNAL")
    assert "secret" not in answer.text


def test_the_docs_show_what_is_answered(client: FlaskClient) -> None:
    text = (ROOT / "docs" / "graphql.md").read_text()
    query = text.split("```graphql\n")[1].split("```")[0]
    shown = json.loads(text.split("```json\n")[1].split("```")[0])
    assert ask(client, query) == shown
