"""What `submit` and `result` make of a job's answers: which files there are afterwards, and what is said of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import store
from cli.failures import Failure
from jobs.drain import Drainer
from tests.cli.conftest import JOB, KEY, Answer, Done, Here, Run, serving

JSON = {"Content-Type": "application/json"}
MIXED = '{"id": "a", "text": "Great"}\n{"id": "b", "text": ""}\n'
GOOD = '{"text": "Great"}\n'


@pytest.fixture
def at_work(drainer: Drainer) -> Iterator[None]:
    """A worker in this process."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.05):
            while drainer.drain("cpu", "wake"):
                pass

    worker = threading.Thread(target=run)
    worker.start()
    yield
    ended.set()
    worker.join(30)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"rows.jsonl", "models"}


def submitted(here: Here, rows: str, *words: str) -> Done:
    (here.folder / "mixed.jsonl").write_text(rows)
    done = here("submit", "mixed.jsonl", "--model", "sentiment", *words)
    assert done.code == 0, done.err
    (here.folder / "mixed.jsonl").unlink()
    return done


def lines(text: str) -> list[Any]:
    return [(item["line"], "error" in item) for item in map(json.loads, text.splitlines())]


def test_rows_are_answered_beside_their_file_and_the_failed_ones_once_more_alone(here: Here, at_work: None) -> None:
    done = submitted(here, MIXED, "--json")
    out, faults = "mixed.jsonl.out.jsonl", "mixed.jsonl.out.errors.jsonl"
    told = json.loads(done.out)
    assert told == {
        "job_id": told["job_id"], "status": "completed", "model": "sentiment", "model_version": "1.0.0", "rows": 2,
        "failed": 1, "output": out, "errors_output": faults, "result": None,
    }  # fmt: skip
    assert f"{told['job_id']}: it keeps running if you stop here; fetch it later with" in done.err
    assert done.err.endswith(f"2 rows, 1 failed: {out}\nthe failed ones alone: {faults}\n")
    assert files(here.folder) == {out, faults}
    assert lines((here.folder / out).read_text()) == [(1, False), (2, True)]
    assert lines((here.folder / faults).read_text()) == [(2, True)]
    # Once more, now without a fault.
    done = submitted(here, GOOD)
    assert (done.out, files(here.folder)) == ("", {out})
    assert done.err.endswith(f"1 row, 0 failed: {out}\nremoved {faults}, of an earlier run\n")
    done = submitted(here, GOOD)
    assert done.err.endswith(f"1 row, 0 failed: {out}\n")


@pytest.mark.parametrize("name", ["submit", "result"])
def test_who_may_write_or_remove_a_file_of_failed_rows_says_so(run: Run, name: str) -> None:
    told = " ".join(run(name, "--help").out.split())
    assert "alone in OUTPUT.errors.jsonl beside them; when no row fails, that file of an earlier run is removed" in told


def test_answers_that_go_to_no_file_have_no_file_of_failed_rows(here: Here, at_work: None) -> None:
    done = submitted(here, MIXED, "-o", "-")
    assert lines(done.out) == [(1, False), (2, True)]
    assert done.err.endswith("\n2 rows, 1 failed\n")
    assert files(here.folder) == set()


@pytest.mark.parametrize("out", [None, "own.jsonl", "own.txt", "-"])
def test_the_answers_to_rows_are_fetched_later_into_a_file_named_by_the_job_or_as_is_said(
    here: Here, at_work: None, out: str | None
) -> None:
    job_id = submitted(here, MIXED, "--no-wait").out.strip()
    done = here("result", job_id, *(() if out is None else ("-o", out)))
    assert done.code == 0, done.err
    if out == "-":
        assert (lines(done.out), done.err, files(here.folder)) == ([(1, False), (2, True)], "2 rows, 1 failed\n", set())
        return
    name = out or f"{job_id}.jsonl"
    faults = f"{name.removesuffix('.jsonl')}.errors.jsonl"
    assert (done.out, files(here.folder)) == ("", {name, faults})
    assert done.err == f"2 rows, 1 failed: {name}\nthe failed ones alone: {faults}\n"
    told = json.loads(here("result", job_id, *(() if out is None else ("-o", out)), "--json").out)
    assert (told["rows"], told["failed"], told["output"], told["errors_output"]) == (2, 1, name, faults)


def test_any_other_result_is_printed_or_goes_where_it_is_said_to(here: Here) -> None:
    job_id = here.ended()
    printed = here("result", job_id)
    assert (printed.code, printed.err, json.loads(printed.out)["prediction"]) == (0, "", "positive")
    told = json.loads(here("result", job_id, "--json").out)
    assert (told["result"], told["output"], told["rows"]) == (json.loads(printed.out), None, None)
    assert files(here.folder) == set()
    saved = here("result", job_id, "-o", "one.json")
    assert (saved.code, saved.out, saved.err) == (0, "", "one.json\n")
    assert (files(here.folder), (here.folder / "one.json").read_text()) == ({"one.json"}, printed.out)
    told = json.loads(here("result", job_id, "-o", "one.json", "--json").out)
    assert (told["result"], told["output"]) == (None, "one.json")
    assert here("result", job_id, "-o", "-") == printed
    both = here("result", job_id, "-o", "-", "--json")
    assert (both.code, both.out, "would both go to standard output" in both.err) == (2, "", True)


@pytest.mark.parametrize("given", ["job_", JOB[:-1], f"{JOB}0", JOB.upper(), "0" * 32, "../jobs", KEY])
def test_what_is_no_id_of_a_job_is_called_wrong_and_nobody_is_asked(run: Run, given: str) -> None:
    done = run("result", given, COATCHECK_URL="http://127.0.0.1:9", COATCHECK_API_KEY=KEY)
    assert (done.code, done.out, "must be a job's id" in done.err) == (2, "", True)


def ended(status: str, **more: Any) -> Answer:
    job = {"job_id": JOB, "status": status, "progress": 100, "model": "m", "model_version": "1.0.0", **more}
    return 200, JSON, json.dumps(job).encode()


FAULT = {"code": "MODEL_ERROR", "message": "It broke", "details": {"field": "x", "limit": 5}}


@pytest.mark.parametrize("more", [(), ("-o", "one.json")])
@pytest.mark.parametrize(
    ("answer", "said", "code", "details"),
    [
        (ended("failed", error=FAULT), "failed: It broke: x (limit: 5) (MODEL_ERROR)", "MODEL_ERROR", FAULT["details"]),
        (ended("failed", error={**FAULT, "details": None}), "failed: It broke (MODEL_ERROR)", "MODEL_ERROR", {}),
        (ended("failed", error=None), "failed", "FAILED", {}),
        (ended("canceled"), "was canceled", "CANCELED", {}),
        (ended("expired"), "expired before it was done", "EXPIRED", {}),
    ],
)  # fmt: skip
def test_how_a_job_ended_that_has_no_answer_is_said_with_its_own_error(
    run: Run, tmp_path: Path, more: tuple[str, ...], answer: Answer, said: str, code: str, details: dict[str, Any]
) -> None:
    with serving(lambda _: answer) as (url, _):
        done = run("result", JOB, *more, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
        asked = run("result", JOB, *more, "--json", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, done.out, done.err) == (1, "", f"Error: {JOB} {said}\n")
    error = json.loads(asked.err)["error"]
    assert (error["code"], error["message"], error["retryable"]) == (code, f"{JOB} {said}", False)
    assert error["details"] == {**details, "job_id": JOB, "status": json.loads(answer[2])["status"]}
    assert files(tmp_path) == set()


def test_where_a_result_cannot_go_is_said_before_anybody_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    nowhere = {"COATCHECK_URL": "http://127.0.0.1:9", "COATCHECK_API_KEY": KEY}
    done = run("result", JOB, "-o", "nowhere/x.json", **nowhere)
    assert (done.code, done.out) == (1, "")
    assert "nowhere/x.json cannot be written (No such file or directory)" in done.err


@pytest.mark.parametrize("keys", [{"url", "bytes"}, {"url"}, {"bytes"}, set()])
def test_a_result_lies_in_the_store_where_it_says_its_address_and_size(run: Run, keys: set[str]) -> None:
    def answer(path: str) -> Answer:
        if path == "/stored":
            return 200, {}, b'{"from": "the store"}'
        found = {"url": f"{at[0]}/stored", "bytes": 21, "x": 1}
        kept = {key: value for key, value in found.items() if key in {*keys, "x"}}
        return ended("completed", result=kept)

    at: list[str] = []
    with serving(answer) as (url, asked):
        at.append(url)
        found = json.loads(run("result", JOB, COATCHECK_URL=url, COATCHECK_API_KEY=KEY).out)
    stored = keys == {"url", "bytes"}
    assert (found == {"from": "the store"}) == stored
    assert len(asked) == 1 + stored
    # The store has addresses that are signed, and is not shown the key.
    assert not any(KEY in item for item in asked[1:])


@pytest.mark.parametrize("stored", [False, True])
def test_files_that_a_model_gave_are_told_with_their_addresses_wherever_the_rest_lies(run: Run, stored: bool) -> None:
    given = {"files": [{"name": "a.png", "url": "http://there.example/a"}], "expires_at": "2026-11-27T00:00:00Z"}

    def answer(path: str) -> Answer:
        if path == "/stored":
            return 200, {}, b'{"from": "the store"}'
        rest = {"url": f"{at[0]}/stored", "bytes": 21} if stored else {"from": "the store"}
        return ended("completed", result={**rest, **given})

    at: list[str] = []
    with serving(answer) as (url, _):
        at.append(url)
        found = json.loads(run("result", JOB, COATCHECK_URL=url, COATCHECK_API_KEY=KEY).out)
    assert found == {"from": "the store", **given}


def test_a_job_that_goes_on_is_waited_for_over_there_and_not_asked_for_again_and_again(run: Run) -> None:
    answers = iter([ended("processing"), ended("completed", result={"x": 1})])
    with serving(lambda _: next(answers)) as (url, asked):
        done = run("result", JOB, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert (done.code, json.loads(done.out)) == (0, {"x": 1})
    assert [item.split(" HTTP")[0] for item in asked] == [f"GET /api/v1/jobs/{JOB}?wait=1"] * 2


def refusal(call: Callable[[], object]) -> str | None:
    try:
        call()
    except Failure as failure:
        return f"{failure.code} {failure.message}"
    return None


@pytest.mark.parametrize("status", [200, 204, 299, 300, 307, 403, 500])
def test_a_store_that_does_not_take_or_give_a_file_is_told_with_what_it_said(tmp_path: Path, status: int) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"{}\n")
    body = b"" if status == 204 else b"x" * 299 + b"yz"
    sent: list[int] = []
    with (
        serving(lambda _: (status, {"Location": "http://there.example"}, body)) as (url, asked),
        (tmp_path / "rows.jsonl").open("rb") as file,
    ):
        at, form = f"{url}/b?sig=hush", {"key": "k"}
        posted = refusal(lambda: store.send(at, form, file, 3, name="rows.jsonl", sent=sent.append))
        fetched = refusal(lambda: list(store.pieces(at)))
    told = f"STORE_REFUSED The object store ({url}) does not {{}}: {status} {body[:300].decode()}"
    assert posted == (told.format("take the file") if status >= 300 else None)
    assert fetched == (told.format("give the file") if status != 200 else None)
    assert sent == [3]
    assert [item.split()[0] for item in asked] == ["POST", "GET"]
