"""Answers that are kept, as clients see them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import api
from core import audit, errors, metrics
from inference import bundle
from inference.output import Explanation, Label
from jobs import settle
from registry import lifecycle
from tests import callers, graphs
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import took, work

PREDICT = "/api/v1/predict"
ROW = {"x": 2, "y": 1}
FIELDS = [graphs.FIELDS[0], {"name": "y", "type": "number", "required": False, "default": 1}]
HEAVY = {"model": "sentiment", "model_version": "2.1.0", "inputs": {"text": "Lovely"}}


def published(platform: Platform, folder: Any, name: str, **says: Any) -> str:
    platform.catalog.publish(bundle.load(graphs.bundle(folder / uuid.uuid4().hex, name=name, **says)))
    return name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def model(platform: Platform, folder: Any) -> str:
    return published(platform, folder, f"m{uuid.uuid4().hex}", fields=FIELDS)


@pytest.fixture(scope="module")
def keeping(platform: Platform) -> Iterator[FlaskClient]:
    made = api.create_app(changed(platform.settings, cache_mb=1))
    client = made.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant()[1]}"
    yield client
    made.extensions["coatcheck"].close()


def ask(client: FlaskClient, model: str, inputs: Any = ROW, path: str = PREDICT, **more: Any) -> TestResponse:
    options = {"cache": True, **more.pop("options", {})}
    headers = more.pop("headers", None)
    return client.post(path, json={"model": model, "inputs": inputs, "options": options, **more}, headers=headers)


def found(*answers: TestResponse) -> list[str | None]:
    assert [answer.status_code for answer in answers] == [200] * len(answers), answers[0].get_json()
    return [answer.headers.get("X-Cache") for answer in answers]


def runs(model: str, version: str = "1.0.0") -> float:
    return metrics.INLINE.labels(model, version)._value.get()


def same(one: TestResponse, other: TestResponse) -> bool:
    """Apart from who asked when, to the last byte."""
    ids = [answer.get_json()["request_id"].encode() for answer in (one, other)]
    return one.data.replace(ids[0], b"") == other.data.replace(ids[1], b"")


def test_an_answer_that_is_kept_is_the_same_to_the_last_byte_and_no_run(keeping: FlaskClient, model: str) -> None:
    row = {"x": 0.1, "y": 0.7}
    first, again = ask(keeping, model, row), ask(keeping, model, {"y": 0.7, "x": 0.1})
    assert found(first, again) == ["miss", "hit"]
    assert same(first, again)
    assert runs(model) == 1
    v2 = ask(keeping, model, row, "/api/v2/predict")
    assert found(v2) == ["hit"]
    assert v2.get_json()["timing"]["total_ms"] < 1000


def test_rows_that_were_kept_and_rows_that_were_not_are_counted(keeping: FlaskClient, model: str) -> None:
    def counted() -> tuple[float, float]:
        hit, missed = (metrics.CACHE.labels(model, result)._value.get() for result in ("hit", "miss"))
        return hit, missed

    rows = [{"x": x, "y": 1} for x in range(3)]
    found(ask(keeping, model, rows[0]))
    assert counted() == (0, 1)
    found(ask(keeping, model, rows, f"{PREDICT}/batch"))
    assert counted() == (1, 3)
    found(ask(keeping, model, rows, f"{PREDICT}/batch"))
    assert counted() == (4, 3)


@pytest.mark.parametrize("kept", [False, True])
def test_a_list_has_its_bound_also_where_an_input_is_there_twice_or_its_answer_is_kept(
    platform: Platform, keeping: FlaskClient, folder: Any, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    name = f"m{uuid.uuid4().hex}"
    made = graphs.doubling(folder / name, name, "float32", "float", [3], "3")
    platform.catalog.publish(bundle.load(made))
    monkeypatch.setattr("inference.output.MOST_ELEMENTS", 5)
    row, batch = {"x": [1, 2, 3]}, f"{PREDICT}/batch"
    if kept:
        found(ask(keeping, name, row))
    twice = ask(keeping, name, [row, row], batch)
    assert (twice.status_code, twice.get_json()["error"]["code"]) == (413, "BATCH_TOO_LARGE")
    assert found(ask(keeping, name, [row], batch)) == ["hit"]


def test_nothing_is_kept_where_the_platform_keeps_nothing(client: FlaskClient, model: str) -> None:
    assert found(ask(client, model), ask(client, model)) == ["bypass", "bypass"]
    assert runs(model) == 2


def test_nothing_is_kept_that_nobody_asked_for(keeping: FlaskClient, model: str) -> None:
    body = {"model": model, "inputs": ROW}
    assert found(*(keeping.post(PREDICT, json=body) for _ in range(2))) == [None, None]
    assert found(ask(keeping, model)) == ["miss"]
    # Nor is what is kept used.
    assert found(keeping.post(PREDICT, json=body), ask(keeping, model, options={"cache": False})) == [None, None]
    assert runs(model) == 5


def test_a_model_may_have_all_its_answers_kept_or_none(keeping: FlaskClient, platform: Platform, folder: Any) -> None:
    always = published(platform, folder, f"m{uuid.uuid4().hex}", cache=True)
    never = published(platform, folder, f"m{uuid.uuid4().hex}", cache=False)
    body = {"model": always, "inputs": ROW}
    assert found(*(keeping.post(PREDICT, json=body) for _ in range(2))) == ["miss", "hit"]
    assert found(ask(keeping, always, options={"cache": False})) == [None]
    assert found(*(ask(keeping, never) for _ in range(2))) == ["bypass", "bypass"]
    assert found(keeping.post(PREDICT, json={"model": never, "inputs": ROW})) == [None]
    tensors = [{"name": name, "datatype": "FP64", "shape": [1], "data": [ROW[name]]} for name in ROW]
    answer = keeping.post(f"/v2/models/{always}/infer", json={"inputs": tensors})
    assert found(answer) == ["hit"]


def test_a_default_is_the_same_as_if_it_were_said_and_another_input_is_not(keeping: FlaskClient, model: str) -> None:
    assert found(ask(keeping, model, {"x": 3}), ask(keeping, model, {"x": 3, "y": 1})) == ["miss", "hit"]
    assert found(ask(keeping, model, {"x": 3, "y": 2}), ask(keeping, model, {"x": 1, "y": 3})) == ["miss", "miss"]


def test_another_tenant_does_not_learn_what_was_asked(platform: Platform, keeping: FlaskClient, model: str) -> None:
    mine, theirs = callers.key(platform), callers.key(platform)
    answers = [ask(keeping, model, headers=key.headers) for key in (mine, theirs, mine)]
    assert found(*answers) == ["miss", "miss", "hit"]


def test_another_level_of_explanation_is_another_answer(keeping: FlaskClient) -> None:
    body: dict[str, Any] = {"inputs": {"text": uuid.uuid4().hex}, "model_version": "1.0.0"}
    plain, explained = ask(keeping, "sentiment", **body), ask(keeping, "sentiment", **body, options={"explain": True})
    assert found(plain, explained, ask(keeping, "sentiment", **body)) == ["miss", "miss", "hit"]
    assert "explanation" in explained.get_json()


def test_another_version_is_asked_itself_and_one_that_was_removed_answers_no_more(
    platform: Platform, keeping: FlaskClient, folder: Any, model: str
) -> None:
    published(platform, folder, model, version="1.1.0", fields=FIELDS)
    newest = keeping.application.extensions["coatcheck"].catalog
    until(lambda: len(newest.model(model)) == 2)
    pinned = {"model_version": "1.1.0"}
    assert found(ask(keeping, model, model_version="1.0.0"), ask(keeping, model, **pinned)) == ["miss", "miss"]
    assert found(ask(keeping, model, **pinned)) == ["hit"]
    lifecycle.remove(platform.engine, model, "1.1.0", audit.operator())
    until(lambda: ask(keeping, model, **pinned).status_code == 410)


def test_of_a_batch_only_what_is_not_kept_is_run_and_what_is_there_twice_once(keeping: FlaskClient, model: str) -> None:
    rows = [{"x": 1, "y": 2}, ROW, {"x": 5, "y": 0}, {"x": 5, "y": 0}, {"x": "bad"}]
    single = ask(keeping, model)
    batch: dict[str, Any] = {"path": f"{PREDICT}/batch", "options": {"return_errors": "individual"}}
    first, again = ask(keeping, model, rows, **batch), ask(keeping, model, rows, **batch)
    assert found(single, first, again) == ["miss", "miss", "hit"]
    assert same(first, again)
    assert runs(model) == 3
    told = [row.get("prediction") for row in first.get_json()["predictions"]]
    assert told == ["b", "a", "a", "a", None]


def test_what_is_kept_costs_a_request_and_no_units(platform: Platform, keeping: FlaskClient, model: str) -> None:
    headers = callers.key(platform, tier=callers.tier(platform, units_per_minute=1, units_burst=10)).headers
    answers = [ask(keeping, model, headers=headers) for _ in range(12)]
    assert found(*answers) == ["miss"] + ["hit"] * 11
    assert '"units";r=9' in answers[-1].headers["RateLimit"]

    def used() -> Any:
        return keeping.get("/api/v1/usage", headers=headers).get_json()["usage"]

    until(lambda: used() and used()[0]["calls"] == 12)
    assert used()[0]["units"] == 1


def test_of_a_list_only_what_was_not_kept_costs_units(platform: Platform, keeping: FlaskClient, model: str) -> None:
    headers = callers.key(platform).headers
    batch: dict[str, Any] = {"path": f"{PREDICT}/batch", "options": {"return_errors": "individual"}}
    ask(keeping, model, headers=headers)
    rows = [ROW, {"x": 5, "y": 0}, {"x": 6, "y": 0}, {"x": 5, "y": 0}, {"x": "bad"}]
    assert ask(keeping, model, rows, headers=headers, **batch).status_code == 200

    def used() -> tuple[int, int]:
        told = keeping.get("/api/v1/usage", headers=headers).get_json()["usage"]
        return sum(item["calls"] for item in told), sum(item["units"] for item in told)

    until(lambda: used()[0] == 2)
    assert used()[1] == 1 + 2


def test_a_failure_is_not_kept(platform: Platform, folder: Any) -> None:
    name = f"m{uuid.uuid4().hex}"
    made = graphs.graph(graphs.TURNS)
    platform.catalog.publish(bundle.load(graphs.bundle(folder / name, made, name=name)))
    app = api.create_app(changed(platform.settings, cache_mb=1, inline_timeout_s=0.5))
    impatient = app.test_client()
    impatient.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {platform.new_tenant()[1]}"
    for _ in range(2):
        assert ask(impatient, name, {"x": graphs.ENDLESS, "y": 1}).get_json()["error"]["code"] == "TIMED_OUT"
    cache = app.extensions["coatcheck"].serving.cache
    assert cache.size == 0
    # Nor is that of one in a list.
    batch: dict[str, Any] = {"path": f"{PREDICT}/batch", "options": {"return_errors": "individual"}}
    for _ in range(2):
        answer = ask(impatient, name, [{"x": graphs.ENDLESS, "y": 1}], **batch)
        assert answer.get_json()["predictions"][0]["error"]["code"] == "TIMED_OUT"
    assert cache.size == 0
    app.extensions["coatcheck"].close()


@pytest.mark.usefixtures("quiet")
def test_what_a_job_has_answered_needs_no_second_job(platform: Platform, keeping: FlaskClient) -> None:
    body = {**HEAVY, "options": {"cache": True}}
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(keeping.post, PREDICT, json=body, headers={"Prefer": "wait=25"})
        until(lambda: platform.rows("SELECT FROM jobs"))
        work(platform)
        first = waits.result()
    again = keeping.post(PREDICT, json=body)
    assert found(first, again) == ["miss", "hit"]
    assert same(first, again)
    assert len(platform.rows("SELECT FROM jobs")) == 1
    # A ticket is a job's, and so is what a key stands for.
    for more in ({"Prefer": "respond-async"}, {"Prefer": "wait=0", "Idempotency-Key": uuid.uuid4().hex}):
        ticket = keeping.post(PREDICT, json=body, headers=more)
        assert (ticket.status_code, ticket.headers["X-Cache"]) == (202, "bypass")


def asking(platform: Platform, folder: Any) -> str:
    """A model whose reasons are found by questions."""
    name, says = f"m{uuid.uuid4().hex}", {"method": "sampled", "background": "usual.jsonl"}
    made = graphs.bundle(folder / name, name=name, explanation=["shap"], explain=says)
    (made / "usual.jsonl").write_text('{"x": 0, "y": 0}\n')
    platform.catalog.publish(bundle.load(made))
    return name


def explained(platform: Platform, **says: Any) -> int:
    """How many explanations waited; each has an answer now."""
    why = Explanation("leverage", "a", "probability", ["x", "y"], [0.2, 0.1], [0.1, 0.1], 0.5, 0.8, 0.0, 9, **says)
    done = [settle.Done(job, Label("a", 0.8, {"a": 0.8, "b": 0.2}, why), 1) for job in took(platform, pool="explain")]
    return len(settle.complete(platform.engine, done))


@pytest.mark.usefixtures("quiet")
def test_an_explanation_that_was_cut_short_is_not_kept_and_a_whole_one_is(
    platform: Platform, keeping: FlaskClient, folder: Any
) -> None:
    name, waiting = asking(platform, folder), "SELECT FROM jobs WHERE status = 'pending'"
    for says, went in (({"cut_short": True}, "miss"), ({"cut_short": False}, "miss"), (None, "hit")):
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(ask, keeping, name, path="/api/v1/explain", headers={"Prefer": "wait=25"})
            if says is not None:
                until(lambda: platform.rows(waiting))
                assert explained(platform, **says) == 1
            answer = waits.result()
        assert found(answer) == [went]
        assert ("cut_short" in answer.get_json()["explanation"]) == bool(says and says["cut_short"])
    # What is wanted as exactly as something is another answer, and so is what is to be nothing where it is less exact.
    for exact in ({"explain_tolerance": 0.5}, {"explain_tolerance": 0.5, "explain_strict": True}):
        other = {"options": exact, "headers": {"Prefer": "wait=0"}}
        assert ask(keeping, name, path="/api/v1/explain", **other).status_code == 202
        assert explained(platform) == 1
        assert ask(keeping, name, path="/api/v1/explain", **other).status_code == 200


def hits(model: str) -> float:
    return metrics.CACHE.labels(model, "hit")._value.get()


@pytest.mark.usefixtures("quiet")
def test_what_takes_a_job_is_one_job_for_all_who_ask_it_at_once(
    platform: Platform, keeping: FlaskClient, folder: Any
) -> None:
    name, jobs = asking(platform, folder), "SELECT FROM jobs WHERE model = :model"
    key = callers.key(platform)

    def explain(row: Any, wait_s: int = 25) -> TestResponse:
        headers = {**key.headers, "Prefer": f"wait={wait_s}"}
        return ask(keeping, name, row, "/api/v1/explain", headers=headers)

    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(explain, ROW) for _ in range(3)]
        until(lambda: hits(name) == 2)
        ticket = explain(ROW, wait_s=0)
        other = explain({"x": 3, "y": 1}, wait_s=0)
        assert explained(platform) == 1
        answers = [each.result() for each in waits]
    assert sorted(map(str, found(*answers))) == ["hit", "hit", "miss"]
    assert len({answer.get_json()["request_id"] for answer in answers}) == 3
    assert (ticket.status_code, ticket.headers["X-Cache"], other.status_code) == (202, "bypass", 202)
    assert ticket.get_json()["job_id"] != other.get_json()["job_id"]
    assert len(platform.rows(jobs, model=name)) == 2
    assert (
        keeping.get(f"/api/v1/jobs/{ticket.get_json()['job_id']}", headers=key.headers).get_json()["status"]
        == "completed"
    )

    def used() -> Any:
        return [
            (each["calls"], each["units"])
            for each in keeping.get("/api/v1/usage", headers=key.headers).get_json()["usage"]
        ]

    until(lambda: sum(calls for calls, _ in used()) == 3)
    assert sum(units for _, units in used()) == 1


@pytest.mark.usefixtures("quiet")
def test_a_job_that_nobody_waited_for_answers_who_asks_again_unless_it_came_to_nothing_whole(
    platform: Platform, keeping: FlaskClient, folder: Any
) -> None:
    name, jobs = asking(platform, folder), []

    def again(**more: Any) -> TestResponse:
        return ask(keeping, name, path="/api/v1/explain", headers={"Prefer": "wait=0", **more})

    for end in ("canceled", "cut short", "forgotten", "failed", None):
        jobs.append(again().get_json()["job_id"])
        assert again().get_json()["job_id"] == jobs[-1]
        if end == "canceled":
            assert keeping.post(f"/api/v1/jobs/{jobs[-1]}/cancel").status_code == 200
        elif end == "cut short":
            assert explained(platform, cut_short=True) == 1
        elif end == "forgotten":
            platform.execute("DELETE FROM jobs")
        elif end == "failed":
            [job] = took(platform, pool="explain")
            assert settle.fail(platform.engine, job, errors.ModelError())
    assert len({*jobs}) == len(jobs)
    assert explained(platform) == 1
    cache = keeping.application.extensions["coatcheck"].serving.cache
    size = cache.size
    assert found(again(), again()) == ["hit", "hit"]
    # Who asks does not prolong how long it is good for.
    assert cache.size == size
    # Neither a key nor a ticket that was asked for is for others.
    assert [again(**more).status_code for more in ({"Idempotency-Key": "k"}, {"Prefer": "respond-async"})] == [202, 202]
    assert len(platform.rows("SELECT FROM jobs WHERE status = 'pending'")) == 2
