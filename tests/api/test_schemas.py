"""Schemas by themselves, without an app: quick to say which of them is not what the contract says any more."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import marshmallow as ma
import pytest
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

import api.v1.schemas
from api.contract import Words
from api.v1 import document
from api.v1.schemas import admin, keys_of_all, predict, requests, usage, webhooks
from api.v2 import document as v2_document
from api.v2 import schemas as v2

Kinds = dict[str, type[ma.Schema]]
#: What only the app says of numbers.
FORMATS = ("int64", "double")


def of_v1() -> Kinds:
    folder = api.v1.schemas
    modules = [
        importlib.import_module(found.name) for found in pkgutil.iter_modules(folder.__path__, "api.v1.schemas.")
    ]
    return {
        name: kind
        for module in modules
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, ma.Schema) and kind.__module__ == module.__name__
    }


def of_v2() -> Kinds:
    standing_in = {kind.__name__: v2.STANDS_IN.get(kind, kind) for kind in of_v1().values()}
    return standing_in | {kind.__name__: kind for kind in v2.STANDS_IN.values()}


def bare(said: Any) -> Any:
    if isinstance(said, dict):
        return {name: bare(value) for name, value in said.items() if name != "format" or value not in FORMATS}
    return [bare(item) for item in said] if isinstance(said, list) else said


def named(of: Any) -> str:
    """By its class, whichever of both is there."""
    return str((of if isinstance(of, type) else type(of)).__name__)


def described(words: Words, kinds: Kinds, names: Iterable[str]) -> Any:
    """What these schemas are in a contract."""
    plugin = MarshmallowPlugin(named)
    spec = APISpec("of schemas", "1", "3.1.0", plugins=[plugin])
    document.declare_kinds(spec, plugin, words.results)
    for name in names:
        if name not in spec.components.schemas:
            spec.components.schema(name, schema=kinds[name])
    made = words.finished({"components": spec.to_dict()["components"], "paths": {}})["components"]["schemas"]
    return bare(json.loads(json.dumps(made)))


@pytest.mark.parametrize(
    ("version", "words", "kinds"), [("v1", document.WORDS, of_v1), ("v2", v2_document.WORDS, of_v2)], ids=["v1", "v2"]
)
def test_every_schema_is_in_the_contract_as_it_stands(version: str, words: Words, kinds: Callable[[], Kinds]) -> None:
    contract = json.loads(Path(__file__).with_name(f"openapi.{version}.json").read_text())["components"]["schemas"]
    made, wanted = described(words, kinds(), kinds().keys() & contract.keys()), bare(contract)
    assert len(made) > 100
    # v1's error is declared before anybody says how numbers are told.
    assert {name for name in made if made[name] != wanted[name]} <= {"Error"}


def refused(kind: type[ma.Schema], said: Mapping[str, Any]) -> bool:
    with contextlib.suppress(ma.ValidationError):
        kind().load(said)
        return False
    return True


#: What a query is without a word, and of each of its fields what is let through, and what is not.
QUERIES: Mapping[type[ma.Schema], tuple[Mapping[str, Any], Mapping[str, tuple[list[str], list[str]]]]] = {
    requests.Wait: ({"wait": 0.0}, {"wait": (["0", "0.5", "20"], ["-1", "", "1e3", "nan"])}),
    requests.JobsQuery: (
        {"limit": 20},
        {
            "status": (["pending", "completed"], ["done", ""]),
            "model": (["a", "A.b_c-9", "m" * 64], ["", "m" * 65, "a b", "ä"]),
            "created_after": (["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+01:00"], ["2026-01-31", "yesterday"]),
            "created_before": (["2026-01-31T12:00:00Z"], ["2026-01-31", ""]),
            "limit": (["1", "100"], ["0", "101", "-1", "1.0", ""]),
            "cursor": (["c", "c" * 64], ["", "c" * 65]),
        },
    ),
    requests.PartsQuery: (
        {"limit": 100},
        {"after": (["0", "7"], ["-1", "a"]), "limit": (["1", "1000"], ["0", "1001"])},
    ),
    requests.RetryQuery: ({}, {"rows": (["failed"], ["all", ""])}),
    admin.Pages: ({"limit": 20}, {"limit": (["1", "100"], ["0", "101"]), "cursor": (["c"], [""])}),
    keys_of_all.IssuedKeysQuery: ({"limit": 20, "status": "open"}, {"status": (["open", "all"], ["", "revoked"])}),
    usage.UsageQuery: ({"by": "day"}, {"from": (["2026-01-31"], ["2026-02-30", ""]), "to": (["2026-01-31"], ["now"])}),
    webhooks.DeliveriesQuery: (
        {"limit": 20},
        {"limit": (["1", "100"], ["0", "101"]), "before": (["0", "9" * 18], ["", "9" * 19, "x"])},
    ),
    predict.PredictQuery: ({}, {"explain": (["simple", "shap"], ["", "all"])}),
}


@pytest.mark.parametrize("kind", QUERIES)
def test_a_query_has_its_defaults_and_its_bounds(kind: type[ma.Schema]) -> None:
    without, fields = QUERIES[kind]
    assert kind().load({}) == without
    for name, (good, bad) in fields.items():
        assert {text for text in good if refused(kind, {name: text})} == set(), name
        assert {text for text in bad if not refused(kind, {name: text})} == set(), name
        assert refused(kind, {f"{name}_": good[0]}), name
