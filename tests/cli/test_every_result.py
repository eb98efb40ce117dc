"""What each command prints when it does what it is asked, and when that is refused: for people, and as JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import flask
import pytest

import models
from access import adjustments, keys, tiers
from core import ids
from core.audit import Actor
from tests import callers, factories
from tests.cli.conftest import COMMANDS, JOB, Here, served

pytestmark = pytest.mark.usefixtures("quiet")


@dataclass(frozen=True)
class Case:
    """Words that do something, what is in its JSON, and words that are refused, with the code of that."""

    good: Callable[[Here], Iterable[str]]
    keys: set[str]
    bad: Callable[[Here], Iterable[str]] | None = None
    code: str = ""


ANSWER = {"job_id", "status", "model", "model_version", "rows", "failed", "output", "errors_output", "result"}
ISSUED = {
    "id",
    "tenant",
    "tier",
    "name",
    "scopes",
    "models",
    "networks",
    "created_at",
    "expires_at",
    "last_used_at",
    "rotated_to",
    "revoked_at",
}


def held(here: Here) -> str:
    return str(factories.add(here.platform, models.Block)["subject"])


def given(here: Here) -> str:
    with here.platform.engine.begin() as connection:
        adjustments.make(connection, here.key.tenant, 5, "made good", Actor("cli:root"))
    return here.key.tenant


def routes_file(here: Here, text: str) -> str:
    file = here.folder / f"{uuid.uuid4().hex}.yaml"
    file.write_text(text)
    return str(file)


def routed(here: Here) -> str:
    """A model with a canary, `next`."""
    name = here.published()
    assert here("models", "push", here.model(name, "1.1.0")).code == 0
    rule = f"models: {{{name}: {{canaries: [{{name: next, version: 1.1.0, percent: 10}}]}}}}"
    assert here("apply", "-f", routes_file(here, rule)).code == 0
    return name


def compared(here: Here) -> tuple[str, str]:
    """A model and its shadow, of which there is a pair."""
    row = factories.add(here.platform, models.ShadowPair, name=callers.name("next"))
    return str(row["model"]), str(row["name"])


CASES: Mapping[str, Case] = {
    "submit": Case(
        lambda _: ("rows.jsonl", "--model", "sentiment", "--no-wait"), ANSWER,
        lambda _: ("rows.jsonl", "--model", "nope"), "MODEL_NOT_FOUND"),
    "jobs": Case(
        lambda here: ("--status", "completed") if here.ended() else (), {"job_id", "status", "progress", "links"},
        lambda _: ("--model", "no model"), "INVALID_INPUT"),
    "result": Case(lambda here: (here.ended(),), ANSWER, lambda _: (JOB,), "JOB_NOT_FOUND"),
    "load": Case(
        lambda _: ("--seconds", "1", "--warm-up", "0", "--mix", "inline=1,hostile=1", "--model", "tumor"),
        {"model", "routes", "errors", "tickets", "moments", "good"},
        lambda _: ("--model", "nope"), "MODEL_NOT_FOUND"),
    "models check": Case(
        lambda here: (here.model(),), {"model", "version", "digest"}, lambda here: (here.nothing(),), "BUNDLE_INVALID"),
    "models init": Case(
        lambda here: (f"{here.model()}/model.onnx", "--out", uuid.uuid4().hex),
        {"model", "version", "kind", "folder", "issue"},
        lambda here: (f"{here.model()}/model.onnx", "--out", here.model()), "FOLDER_IN_USE"),
    "models push": Case(
        lambda here: (here.model(),), {"model", "version", "new", "digest"},
        lambda here: (here.nothing(),), "BUNDLE_INVALID"),
    "models list": Case(lambda _: (), {"model", "version", "stable", "deprecated", "kind", "pool", "inline", "digest"}),
    "models stable": Case(
        lambda _: ("sentiment", "1.0.0"), {"model", "version", "before"},
        lambda _: ("sentiment", "9.9.9"), "MODEL_VERSION_NOT_FOUND"),
    "models deprecate": Case(
        lambda here: (here.published(), "1.0.0", "--sunset", "2999-01-31"),
        {"model", "version", "deprecated", "before", "message", "sunset_at"},
        lambda here: ("sentiment", "1.0.0"), "MODEL_VERSION_CONFLICT"),
    "models remove": Case(
        lambda here: (here.published(), "1.0.0"), {"model", "version"},
        lambda here: ("sentiment", "1.0.0"), "MODEL_VERSION_CONFLICT"),
    "models pull": Case(
        lambda _: ("sentiment", "--out", uuid.uuid4().hex), {"model", "version", "digest", "folder"},
        lambda _: ("sentiment", "9.9.9"), "MODEL_VERSION_NOT_FOUND"),
    "models show": Case(
        lambda _: ("sentiment",), {"model", "version", "versions", "stable_version", "input_schema", "example", "curl"},
        lambda _: ("nope",), "MODEL_NOT_FOUND"),
    "models try": Case(
        lambda _: ("sentiment",), {"model", "model_version", "job_id", "took_ms", "inputs", "answer"},
        lambda _: ("speech",), "INVALID_INPUT"),
    "explain": Case(
        lambda _: ("tumor", "--version", "1.1.0"), {"model", "model_version", "job_id", "inputs", "answer"},
        lambda _: ("speech",), "INVALID_INPUT"),
    "keys create": Case(
        lambda here: ("--tenant", here.key.tenant, "--name", "web"), ISSUED | {"key"},
        lambda here: ("--tenant", here.key.tenant, "--name", "web", "--tier", "free"), "TENANT_CONFLICT"),
    "keys list": Case(lambda _: (), ISSUED, lambda _: ("--tenant", "nobody"), "TENANT_NOT_FOUND"),
    "keys rotate": Case(
        lambda here: (callers.key(here.platform).id,), ISSUED | {"key"}, lambda _: ("0" * 12,), "KEY_NOT_FOUND"),
    "keys revoke": Case(
        lambda here: (callers.key(here.platform).id,), ISSUED | {"was_revoked"},
        lambda _: ("0" * 12,), "KEY_NOT_FOUND"),
    "blocks list": Case(lambda here: (held(here),)[1:], {"subject", "tenant", "level", "reason", "since", "until"}),
    "blocks lift": Case(lambda here: (held(here),), {"subject"}, lambda _: ("key:nobody",), "BLOCK_NOT_FOUND"),
    "routes show": Case(
        lambda _: ("sentiment",), {"model", "stable", "by", "canaries", "experiments", "aliases", "shadows"},
        lambda _: ("nope",), "MODEL_NOT_FOUND"),
    "routes explain": Case(
        lambda _: ("sentiment", "--key", "req_1"), {"key", "version", "route"},
        lambda _: ("nope", "--key", "x"), "MODEL_NOT_FOUND"),
    "routes canary": Case(
        lambda here: (routed(here), "next"), {"model", "canary", "version", "stable", "state", "since", "evidence"},
        lambda _: ("sentiment", "nope"), "INVALID_INPUT"),
    "routes promote": Case(
        lambda here: (routed(here), "next"), {"applied", "changes"}, lambda _: ("sentiment", "nope"), "INVALID_INPUT"),
    "routes rollback": Case(
        lambda here: (routed(here), "next"), {"applied", "changes"}, lambda _: ("sentiment", "nope"), "INVALID_INPUT"),
    "routes shadows": Case(lambda here: compared(here)[2:], {"model", "name", "pairs", "last_at"}),
    "routes shadow": Case(
        compared,
        {"model", "shadow", "version", "stable_version", "pairs", "compared", "stable_errors", "shadow_errors",
         "labels", "numbers", "latency", "disagreements"},
        lambda _: ("sentiment", "nope"), "NOT_FOUND"),
    "routes quality": Case(lambda _: ("sentiment",), {"model", "versions"}, lambda _: ("nope",), "MODEL_NOT_FOUND"),
    "apply": Case(
        lambda here: ("-f", routes_file(here, "models: {sentiment: {aliases: {best: 1.0.0}}}"), "--dry-run"),
        {"applied", "changes"},
        lambda here: ("-f", routes_file(here, "models: {nope: {}}")), "MODEL_NOT_FOUND"),
    "tenants list": Case(lambda _: (), {"name", "tier", "keys", "created_at"}),
    "tenants show": Case(
        lambda here: (here.key.tenant,), {"name", "tier", "keys", "created_at", "month"},
        lambda _: ("nobody",), "TENANT_NOT_FOUND"),
    "tenants create": Case(
        lambda _: (callers.name("tenant"),), {"name", "tier"}, lambda here: (here.key.tenant,), "TENANT_CONFLICT"),
    "tenants change": Case(
        lambda here: (here.key.tenant, "--tier", "free"), {"name", "tier", "before"},
        lambda here: (here.key.tenant, "--tier", "gold"), "INVALID_INPUT"),
    "tiers list": Case(lambda _: (), set(tiers.COLUMNS)),
    "tiers show": Case(lambda _: ("pro",), set(tiers.COLUMNS), lambda _: ("gold",), "TIER_NOT_FOUND"),
    "tiers create": Case(
        lambda _: (callers.name("made"),), set(tiers.COLUMNS), lambda _: ("free",), "TENANT_CONFLICT"),
    "tiers change": Case(
        lambda here: (callers.tier(here.platform), "--pace", "5"), {"tier", "before"},
        lambda _: ("gold", "--pace", "5"), "TIER_NOT_FOUND"),
    "usage": Case(
        lambda here: ("--tenant", here.key.tenant, "--by", "model,kind") if here.ended() else (),
        {"tenant", "model", "kind", "calls", "units", "price"}, lambda _: ("--tenant", "nobody"), "TENANT_NOT_FOUND"),
    "adjust": Case(
        lambda here: (here.key.tenant, "--units", "-5", "--reason", "sold twice"),
        {"tenant", "month", "units", "reason"},
        lambda here: (here.key.tenant, "--units", "0", "--reason", "none"), "INVALID_INPUT"),
    "tenants adjustments": Case(
        lambda here: (given(here),), {"id", "tenant", "month", "units", "reason", "created_at"},
        lambda _: ("nobody",), "TENANT_NOT_FOUND"),
    "audit": Case(
        lambda here: ("--subject", f"key:{here.key.id}"),
        {"id", "at", "actor", "address", "tenant", "action", "subject", "before", "after"},
        lambda _: ("--tenant", "nobody"), "TENANT_NOT_FOUND"),
}  # fmt: skip
#: They start or end processes, or change the whole database: shown by tests of their own.
ELSEWHERE = {"up", "down", "status", "serve", "serve-express", "serve-grpc", "proxy", "roles", "migrate", "reseal"}
EVERY = pytest.mark.parametrize("command", CASES)


def document(text: str) -> dict[str, Any]:
    """The JSON document, or the first of those in its list."""
    found = json.loads(text)
    return dict(found[0] if isinstance(found, list) else found)


def test_every_command_has_a_case() -> None:
    assert set(CASES) | ELSEWHERE == {" ".join(path) for path in COMMANDS}


@EVERY
def test_what_it_does_is_told_on_standard_output_and_it_ends_with_0(here: Here, command: str) -> None:
    case = CASES[command]
    done = here(*command.split(), *case.good(here))
    assert (done.code, "Error" in done.err) == (0, False), done.err
    assert done.out.endswith("\n")
    asked = here(*command.split(), *case.good(here), "--json")
    assert asked.code == 0, asked.err
    assert document(asked.out).keys() >= case.keys


@pytest.mark.parametrize("command", [command for command, case in CASES.items() if case.bad])
def test_what_is_refused_is_one_sentence_on_standard_error_and_it_ends_with_1(here: Here, command: str) -> None:
    case = CASES[command]
    assert case.bad is not None
    words = [*command.split(), *case.bad(here)]
    done = here(*words)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0].startswith("Error: ")
    asked = here(*words, "--json")
    assert (asked.code, asked.out) == (1, "")
    error = json.loads(asked.err)["error"]
    assert (error["code"], error["retryable"]) == (case.code, False)
    assert error["message"]
    assert isinstance(error["details"], dict)


@pytest.mark.parametrize("command", ["submit", "jobs", "result", "load"])
def test_a_key_that_opens_nothing_is_said_to(here: Here, command: str) -> None:
    words = {"submit": ("rows.jsonl", "--model", "m"), "jobs": (), "result": (JOB,), "load": ()}[command]
    keys.revoke(here.platform.engine, here.key.id)
    done = here(command, *words, "--json")
    error = json.loads(done.err)["error"]
    assert (done.code, error["code"], "COATCHECK_API_KEY" in error["message"]) == (1, "UNAUTHORIZED", True)


@pytest.mark.parametrize(
    ("option", "scopes"),
    [
        ((), keys.CLIENT),
        (("--admin",), keys.CLIENT | {"admin"}),
        (("--metrics",), {"metrics"}),
        (("--scope", "predict", "--scope", "models:read"), {"predict", "models:read"}),
        (("--scope", "files", "--models"), {"files", "models:write"}),
        (("--models",), keys.CLIENT | {"models:write"}),
        (("--admin", "--models"), keys.CLIENT | {"admin", "models:write"}),
    ],
)
def test_a_key_has_the_scopes_that_were_asked_for_and_without_a_word_a_clients(
    here: Here, option: tuple[str, ...], scopes: set[str]
) -> None:
    key = here("keys", "create", "--tenant", here.key.tenant, "--name", "web", *option).out.strip()
    found = keys.Keyring(here.platform.engine).verify(key)
    assert found.scopes == scopes
    for more in (("--admin",), ("--models",), ("--scope", "jobs")):
        refused = here("keys", "create", "--name", "x", *more, "--metrics")
        assert (refused.code, refused.out, "--metrics excludes" in refused.err) == (2, "", True)


def stable(here: Here, name: str) -> list[str]:
    row = "SELECT stable_version FROM models WHERE name = :name"
    return [str(item[0]) for item in here.platform.rows(row, name=name)]


def test_push_stable_makes_it_answer_and_push_alone_does_not(here: Here) -> None:
    name = f"m{uuid.uuid4().hex}"
    assert here("models", "push", here.model(name)).code == 0
    assert stable(here, name) == ["1.0.0"]
    beside = here("models", "push", here.model(name, "1.1.0"))
    assert stable(here, name) == ["1.0.0"]
    assert f"`coatcheck models stable {name} 1.1.0` changes that" in beside.err
    made = here("models", "push", here.model(name, "1.2.0"), "--stable")
    assert (made.code, made.err, stable(here, name)) == (0, "", ["1.2.0"])
    told = here("models", "stable", name, "1.1.0")
    assert (told.out, stable(here, name)) == (f"{name} 1.1.0 is stable now; it was 1.2.0\n", ["1.1.0"])


class Losing:
    """Hands on every request, but loses the first answer to each POST, as a proxy does whose server was restarted."""

    def __init__(self, app: flask.Flask) -> None:
        self._app = app
        self.asked: dict[str, list[str | None]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            return self._app(environ, start_response)
        asked = self.asked.setdefault(environ["PATH_INFO"], [])
        asked.append(environ.get("HTTP_IDEMPOTENCY_KEY"))
        if len(asked) > 1:
            return self._app(environ, start_response)
        said: list[str] = []
        list(self._app(environ, lambda status, *_: said.append(status)))
        assert said[0].startswith("20")
        start_response("502 Bad Gateway", [("Content-Type", "text/html")])
        return [b"<html>"]


def test_a_submit_that_is_repeated_after_502_carries_the_same_idempotency_key_and_makes_one_job(here: Here) -> None:
    between = Losing(here.app)
    with served(between) as url:
        done = here("submit", "rows.jsonl", "--model", "sentiment", "--no-wait", COATCHECK_URL=url)
    assert done.code == 0, done.err
    assert {path: len(asked) for path, asked in between.asked.items()} == {"/api/v1/uploads": 2, "/api/v1/jobs": 2}
    for first, second in between.asked.values():
        assert first is not None
        assert first == second
    job_id = here.platform.one("SELECT id FROM jobs")[0]
    assert done.out == f"{ids.job_id(uuid.UUID(str(job_id)))}\n"
    mine = "SELECT count(*) FROM uploads WHERE tenant_id = (SELECT tenant_id FROM jobs)"
    assert here.platform.one(mine) == (1,)
