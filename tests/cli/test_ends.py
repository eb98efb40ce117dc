"""`coatcheck models deprecate`, `remove` and `pull`: who still gets an answer, and of what."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from inference import bundle
from jobs import removed
from jobs.drain import Drainer
from registry.shelf import bundle_key
from tests import factories, graphs
from tests.cli.conftest import Here
from tests.conftest import until

pytestmark = pytest.mark.usefixtures("quiet")
ROW = {"x": 2, "y": 1}
PREDICT, JOBS = "/api/v1/predict", "/api/v1/jobs"


@pytest.fixture
def name(here: Here) -> str:
    """A model with two versions, the first of which is stable."""
    made = here.published()
    assert here("models", "push", here.model(made, "1.1.0")).code == 0
    return made


def asked(here: Here, name: str, version: str | None = None, path: str = PREDICT) -> Any:
    body = {"model": name, "inputs": ROW, **({"model_version": version} if version else {})}
    return here.app.test_client().post(path, json=body, headers=here.key.headers)


def seen(here: Here, name: str, version: str) -> dict[str, Any]:
    path = f"/api/v1/models/{name}/versions/{version}"
    return dict(here.app.test_client().get(path, headers=here.key.headers).get_json())


def stable(here: Here, name: str) -> None:
    assert here("models", "stable", name, "1.1.0").code == 0


def test_a_deprecated_version_still_answers_who_asks_for_it_and_says_so(here: Here, name: str) -> None:
    stable(here, name)
    words = ("--message", "Use 1.1.0", "--sunset", "2999-01-31")
    done = here("models", "deprecate", name, "1.0.0", *words)
    assert (done.code, done.out) == (0, f"{name} 1.0.0 is deprecated\n")
    until(lambda: "Deprecation" in asked(here, name, "1.0.0").headers)
    for path in (PREDICT, JOBS):
        answer = asked(here, name, "1.0.0", path)
        assert answer.status_code in (200, 202)
        assert answer.headers["Sunset"] == "Thu, 31 Jan 2999 00:00:00 GMT"
        since = answer.headers["Deprecation"]
        assert since[0] == "@"
        assert abs(int(since[1:]) - email.utils.parsedate_to_datetime(email.utils.formatdate()).timestamp()) < 60
    assert "Deprecation" not in asked(here, name).headers
    found = seen(here, name, "1.0.0")
    assert (found["deprecated"], found["deprecation"]) == (True, "Use 1.1.0")
    assert found["sunset_at"].startswith("2999-01-31T00:00:00")
    assert seen(here, name, "1.1.0")["deprecated"] is False
    assert "deprecated; until 2999-01-31: Use 1.1.0" in here("models", "show", name, "--version", "1.0.0").out
    listed = {
        item["version"]: item for item in json.loads(here("models", "list", "--json").out) if item["model"] == name
    }
    assert {version: item["deprecated"] for version, item in listed.items()} == {"1.0.0": True, "1.1.0": False}
    table, digest = here("models", "list").out, listed["1.1.0"]["digest"]
    assert (digest[:12] in table, digest[:13] in table) == (True, False)


def test_a_version_is_not_meant_to_answer_until_a_day_that_is_over(here: Here, name: str, today: dt.date) -> None:
    stable(here, name)
    yesterday = today - dt.timedelta(days=1)
    refused = here("models", "deprecate", name, "1.0.0", "--sunset", yesterday.isoformat())
    assert (refused.code, "--sunset must not be over" in refused.err) == (2, True)
    assert here("models", "deprecate", name, "1.0.0", "--sunset", today.isoformat()).code == 0


def test_what_is_said_of_a_deprecated_version_can_be_said_anew_and_no_more(here: Here, name: str) -> None:
    stable(here, name)
    told = json.loads(here("models", "deprecate", name, "1.0.0", "--sunset", "2999-01-31", "--json").out)
    assert (told["sunset_at"], told["deprecated"]) == ("2999-01-31T00:00:00+00:00", True)
    at = "SELECT deprecated_at, deprecation, sunset_at FROM model_versions WHERE model = :name AND version = '1.0.0'"
    before = here.platform.one(at, name=name)
    again = here("models", "deprecate", name, "1.0.0", "--message", "Use 1.1.0")
    assert again.out == f"{name} 1.0.0 is deprecated still; what is said of it is new\n"
    assert here.platform.one(at, name=name) == (before[0], "Use 1.1.0", None)
    assert here("models", "stable", name, "1.0.0").code == 1
    undone = here("models", "deprecate", name, "1.0.0", "--undo")
    assert undone.out == f"{name} 1.0.0 is not deprecated any more\n"
    assert here.platform.one(at, name=name) == (None, None, None)
    again = here("models", "deprecate", name, "1.0.0", "--undo")
    assert again.out == f"{name} 1.0.0 is not deprecated, and was not\n"
    assert json.loads(here("models", "deprecate", name, "1.0.0", "--undo", "--json").out)["deprecated"] is False
    for more in (("--message", "x"), ("--sunset", "2999-01-31")):
        assert here("models", "deprecate", name, "1.0.0", "--undo", *more).code == 2
    assert here("models", "stable", name, "1.0.0").code == 0


@pytest.mark.parametrize("verb", ["deprecate", "remove"])
def test_the_stable_version_ends_only_when_it_is_the_last_one(here: Here, name: str, verb: str) -> None:
    done = here("models", verb, name, "1.0.0")
    assert (done.code, done.out) == (1, "")
    assert f"make another one stable first, as with `coatcheck models stable {name} 1.1.0`" in done.err
    assert here("models", "remove", name, "1.1.0").code == 0
    assert here("models", verb, name, "1.0.0").code == 0


def test_nobody_can_ask_for_a_removed_version_and_is_told_what_to_use(here: Here, name: str) -> None:
    assert here("models", "remove", name, "1.1.0").code == 0
    until(lambda: asked(here, name, "1.1.0").status_code == 410)
    error = asked(here, name, "1.1.0").get_json()["error"]
    issue = f"{name} 1.1.0 was removed; use 1.0.0"
    assert (error["code"], error["details"]["issue"]) == ("MODEL_VERSION_RETIRED", issue)
    assert asked(here, name).status_code == 200
    again = here("models", "remove", name, "1.1.0")
    assert (again.code, f"{name} has: 1.0.0" in again.err) == (1, True)
    assert here("models", "stable", name, "1.1.0").code == 1
    assert f"{name} 1.1.0" not in here("models", "list").out
    assert here("models", "remove", name, "1.0.0").code == 0
    until(lambda: asked(here, name).status_code == 404)
    assert asked(here, name).get_json()["error"]["code"] == "MODEL_NOT_FOUND"
    assert here("models", "remove", name, "1.0.0", "--json").err.count("MODEL_NOT_FOUND") == 1


def test_the_number_of_a_removed_version_stays_taken_and_a_new_one_answers(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"m{uuid.uuid4().hex}"
    folder = here.model(name)
    assert here("models", "push", folder).code == 0
    assert here("models", "remove", name, "1.0.0").code == 0
    assert here("models", "push", folder).code == 1
    with monkeypatch.context() as shipped:
        # As every start of a platform hands it in.
        shipped.setattr("cli.models.SHIPPED", here.folder)
        same = here("models", "push", folder, "--json")
        changed = here("models", "push", str(graphs.bundle(here.folder / "changed", name=name, summary="Another")))
        assert (changed.code, "stays taken" in changed.err) == (1, True)
    digest = bundle.digest(Path(folder))
    told = {"model": name, "version": "1.0.0", "new": False, "removed": True, "digest": digest}
    assert (same.code, json.loads(same.out)) == (0, [told])
    assert f"{name} 1.0.0 was removed, and stays so" in same.err
    other = graphs.bundle(here.folder / "other", name=name, summary="Another")
    refused = here("models", "push", str(other))
    assert (refused.code, f"{name} 1.0.0 was removed: version stays taken; raise it" in refused.err) == (1, True)
    assert here("models", "push", here.model(name, "2.0.0")).code == 0
    until(lambda: asked(here, name).headers.get("X-Model-Version") == "2.0.0")


def test_a_job_that_was_accepted_is_done_with_the_version_that_was_removed_meanwhile(
    here: Here, name: str, drainer: Drainer
) -> None:
    job = asked(here, name, "1.1.0", JOBS).get_json()["job_id"]
    assert here("models", "remove", name, "1.1.0").code == 0
    digest = here.platform.one("SELECT digest FROM model_versions WHERE model = :m AND version = '1.1.0'", m=name)[0]
    long_ago = "UPDATE model_versions SET removed_at = now() - interval '2 hours' WHERE removed_at IS NOT NULL"
    here.platform.execute(f"{long_ago} AND model = :m", m=name)
    # As long as somebody waits for it.
    assert removed.purge(here.platform.engine, here.platform.store) == 0
    assert here.platform.store.head(bundle_key(digest))
    here.platform.catalog._forget()
    assert drainer.drain("cpu", "wake") == 1
    answer = here.app.test_client().get(f"{JOBS}/{job}", headers=here.key.headers).get_json()
    assert (answer["status"], answer["result"]["prediction"]) == ("completed", "a")
    until(lambda: asked(here, name, "1.1.0").status_code == 410)
    again = here.app.test_client().post(f"{JOBS}/{job}/retry", headers=here.key.headers)
    assert again.get_json()["error"]["code"] == "MODEL_VERSION_RETIRED"
    # For another model's version of the same number somebody always waits.
    for status in ("pending", "processing"):
        factories.job(here.platform, factories.tenant(here.platform), version="1.1.0", status=status)
    assert removed.purge(here.platform.engine, here.platform.store) == 1
    assert here.platform.store.head(bundle_key(digest)) is None
    assert removed.purge(here.platform.engine, here.platform.store) == 0
    assert asked(here, name).status_code == 200


def test_a_bundle_that_was_removed_just_now_is_kept_for_who_has_not_heard_of_it(here: Here, name: str) -> None:
    assert here("models", "remove", name, "1.1.0").code == 0
    assert removed.purge(here.platform.engine, here.platform.store) == 0


def test_what_is_pulled_is_what_was_pushed_to_the_last_byte(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"m{uuid.uuid4().hex}"
    folder = Path(here.model(name))
    (folder / "more").mkdir()
    (folder / "more" / "CARD.md").write_text("Of itself")
    assert here("models", "push", str(folder)).code == 0
    done = here("models", "pull", name)
    assert (done.code, done.err) == (0, "")
    pulled = here.folder / f"{name}-1.0.0"
    assert bundle.digest(pulled) == bundle.digest(folder)
    assert (pulled / "more" / "CARD.md").read_text() == "Of itself"
    again = json.loads(here("models", "pull", name, "1.0.0", "--json").err)["error"]
    assert (again["code"], "has something in it already: say another --out" in again["message"]) == (
        "FOLDER_IN_USE", True,
    )  # fmt: skip
    (here.folder / "a" / "c").mkdir(parents=True)
    # It is made beside its place, which may be on another disk than what is made for a while.
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(here.folder / "nowhere"))
        for out in ("a/b", "a/c"):
            other = here("models", "pull", name, "1.0.0", "--out", out, "--json")
            assert json.loads(other.out)["folder"] == out, other.err
    assert {path.name for path in (here.folder / "a").iterdir()} == {"b", "c"}


def test_a_stored_bundle_that_was_changed_is_not_written(here: Here) -> None:
    name = here.published()
    key = bundle_key(here.platform.one("SELECT digest FROM model_versions WHERE model = :name", name=name)[0])
    here.platform.store.put(key, here.platform.store.get(key).replace(b"Which is larger?", b"Which is larder?"))
    error = json.loads(here("models", "pull", name, "--json").err)["error"]
    assert (error["code"], error["message"]) == ("BUNDLE_INVALID", f"The stored bundle of {name} 1.0.0 was changed")
    assert not (here.folder / f"{name}-1.0.0").exists()
