"""`coatcheck models push` with a key alone, as a laptop or CI has it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from pathlib import Path

import pytest

from access import keys
from tests import callers, graphs
from tests.cli.conftest import JOB, KEY, OPERATOR, Answer, Done, Here, Run, serving


def push(here: Here, *words: str, scopes: Collection[str] = keys.CLIENT | {keys.MODELS}) -> Done:
    env = {name: value for name, value in here.env.items() if name not in OPERATOR}
    key = callers.key(here.platform, scopes=scopes).token
    return here.run("models", "push", *words, **{**env, "COATCHECK_API_KEY": key})


@pytest.mark.usefixtures("worker")
def test_it_says_what_it_says_to_who_has_the_database(here: Here) -> None:
    first, name = here.model(), f"m{uuid.uuid4().hex}"
    direct, over_http = here("models", "push", first), push(here, here.model(name))
    assert over_http.out.split()[:3] == [name, "1.0.0", "published"]
    assert over_http.out.split()[1:3] == direct.out.split()[1:3]
    assert (direct.code, over_http.code, direct.err, over_http.err) == (0, 0, "", "")
    assert here("models", "push", first) == push(here, first)
    later = here.model(name, "1.1.0")
    assert push(here, later, "--json").out != ""
    assert here("models", "push", later) == push(here, later)
    assert "1.0.0 still answers by default" in push(here, later).err
    assert json.loads(push(here, later, "--json").out) == json.loads(here("models", "push", later, "--json").out)
    made = push(here, here.model(name, "1.2.0"), "--stable")
    assert (made.code, made.err) == (0, "")
    [(stable,)] = here.platform.rows("SELECT stable_version FROM models WHERE name = :name", name=name)
    assert stable == "1.2.0"


@pytest.mark.usefixtures("worker")
def test_a_bundle_that_does_not_keep_its_promise_is_told_as_it_is_where_it_is_tried(here: Here, tmp_path: Path) -> None:
    name = f"m{uuid.uuid4().hex}"
    folder = graphs.bundle(tmp_path / name, name=name, labels=["b", "a"])
    done, direct = push(here, str(folder)), here("models", "push", str(folder))
    assert done.code == direct.code == 1
    assert done.err == direct.err.replace(str(folder), name)
    assert done.err.startswith(f"Error: {name}: golden example 1 must give a 0.731059, but gives b 0.7310")
    taken = here.model(name)
    assert push(here, taken).code == 0
    other = str(graphs.bundle(tmp_path / "other", name=name, summary="Another"))
    assert push(here, other) == here("models", "push", other)
    assert json.loads(push(here, other, "--json").err)["error"]["code"] == "BUNDLE_INVALID"


@pytest.mark.usefixtures("quiet")
def test_mistakes_in_a_manifest_are_found_before_anything_is_sent(here: Here, tmp_path: Path) -> None:
    folder = str(graphs.bundle(tmp_path / "own", labels=[0, True]))
    assert push(here, folder) == here("models", "push", folder)
    assert here.platform.rows("SELECT FROM jobs WHERE kind = 'publish'") == []


def test_a_key_that_may_not_is_told_which_scope_it_lacks(here: Here) -> None:
    done = push(here, here.model(), scopes=keys.CLIENT)
    assert (done.code, done.out) == (1, "")
    assert json.loads(push(here, here.model(), "--json", scopes=keys.CLIENT).err)["error"]["code"] == "FORBIDDEN"
    assert "does not have the scope 'models:write'" in done.err
    assert "`coatcheck keys create --models`" in done.err


def test_what_else_it_is_refused_for_is_told_as_it_is(run: Run, tmp_path: Path) -> None:
    said = {"error": {"code": "UPLOAD_QUOTA", "message": "Too many uploads", "details": {}}}
    answer = (422, {"Content-Type": "application/json"}, json.dumps(said).encode())
    with serving(lambda _: answer) as (url, _):
        done = run("models", "push", str(graphs.bundle(tmp_path / "one")), COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, done.out) == (1, "")
    assert "Too many uploads" in done.err
    assert "keys create" not in done.err


def test_with_the_address_alone_it_says_what_is_missing(here: Here) -> None:
    done = here.run("models", "push", here.model(), COATCHECK_URL=here.env["COATCHECK_URL"])
    assert done.code == 2
    assert "COATCHECK_API_KEY is not set" in done.err
    assert "COATCHECK_URL is not set" in here.run("models", "push", here.model(), COATCHECK_API_KEY=KEY).err
    # With neither, it is an operator's command.
    assert "`. .coatcheck/env.admin` sets them" in here.run("models", "push", here.model()).err


def test_a_job_of_it_that_ends_without_a_word_is_told_as_any_other(run: Run, tmp_path: Path) -> None:
    def answer(path: str) -> Answer:
        if path == "/store":
            return 204, {}, b""
        found = {"job_id": JOB, "status": "expired", "progress": 0, "model": "m", "model_version": "1.0.0"}
        place = {"upload_id": "u", "url": f"{at[0]}/store", "fields": {}}
        return 201, {}, json.dumps({**found, **place}).encode()

    at: list[str] = []
    with serving(answer) as (url, _):
        at.append(url)
        done = run("models", "push", str(graphs.bundle(tmp_path / "one")), COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, done.out, done.err) == (1, "", f"Error: {JOB} expired before it was done\n")
