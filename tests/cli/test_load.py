"""`coatcheck load`: what it hides nothing of, and when it says that all is well."""

from __future__ import annotations

import _thread
import json
import random
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from cli.load.histogram import Histogram
from cli.load.mix import BURST, DEFAULT, arrivals
from cli.load.picture import svg
from tests.cli.conftest import JOB, KEY, Answer, Done, Here, Run, serving

JSON = {"Content-Type": "application/json"}
MODELS: dict[str, Any] = {
    "/api/v1/models": {"models": [{"name": "m"}]},
    "/api/v1/models/m": {"stable_version": "1.0.0"},
    "/api/v1/models/m/versions/1.0.0": {
        "inline": True, "example": {"x": 1}, "file_types": ["application/x-ndjson"],
    },
}  # fmt: skip


def answer(code: int, **found: object) -> Answer:
    return code, JSON, json.dumps(found).encode()


class Stub:
    """A platform of one model, whose other routes answer so; while `stalled` is set, none of them does."""

    def __init__(self, **routes: Answer) -> None:
        self.routes = routes
        self.busy = threading.Lock()
        self.stall_s = 0.0

    def __call__(self, path: str) -> Answer:
        if path in MODELS:
            return 200, JSON, json.dumps(MODELS[path]).encode()
        with self.busy:
            stall_s, self.stall_s = self.stall_s, 0.0
            time.sleep(stall_s)
        return self.routes["job" if "/jobs/" in path else path.rsplit("/", 1)[-1]]


def loaded(run: Run, stub: Stub, mix: str, *more: str) -> tuple[Done, dict[str, Any]]:
    with serving(stub) as (url, _):
        words = ("load", "--seconds", "2", "--warm-up", "0", "--rate", "40", "--mix", mix, "--json", *more)
        done = run(*words, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    return done, json.loads(done.out)


def only(said: dict[str, Any], part: str) -> dict[str, Any]:
    rows = said[part]
    assert isinstance(rows, list)
    assert len(rows) == 1, rows
    return dict(rows[0])


@pytest.mark.parametrize("senders", [1, 256])
def test_who_stalls_for_a_second_shows_it_to_all_that_were_due_meanwhile(
    run: Run, monkeypatch: pytest.MonkeyPatch, senders: int
) -> None:
    monkeypatch.setattr("cli.load.drive.SENDERS", senders)
    stub = Stub(predict=answer(200, label="a"))
    stub.stall_s = 1.0
    done, said = loaded(run, stub, "inline=1")
    assert done.code == 0, said["errors"]
    row = only(said, "routes")
    assert row["p99"] > 700
    # Counted from when it left, the only sender would have had one slow request, and hidden the rest.
    slow = [item for item in said["moments"] if (item["max"] or 0) > 100]
    assert len(slow) > 10
    assert row["sent"] == row["ok"] > 30
    assert said["late"] or senders > 1


def test_a_ticket_that_is_forgotten_is_lost_and_told(run: Run) -> None:
    stub = Stub(jobs=answer(202, job_id=JOB), job=answer(404, error={"code": "JOB_NOT_FOUND", "message": "no"}))
    done, said = loaded(run, stub, "poll=1")
    tickets = said["tickets"]
    assert (done.code, said["good"]) == (1, False)
    assert tickets["lost"] == tickets["accepted"] > 0
    assert tickets["done"] == tickets["failed"] == tickets["open"] == 0


def test_a_ticket_that_does_not_end_is_told_as_open(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.load.drive.AFTER_S", 0.5)
    stub = Stub(jobs=answer(202, job_id=JOB), job=answer(200, status="pending"))
    done, said = loaded(run, stub, "poll=1")
    assert done.code == 1
    assert said["tickets"]["open"] == said["tickets"]["accepted"] > 0


def test_what_could_not_be_sent_in_time_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.load.drive.SENDERS", 1)
    monkeypatch.setattr("cli.load.drive.AFTER_S", 0.1)
    stub = Stub(predict=answer(200, label="a"))
    stub.stall_s = 4.0
    done, said = loaded(run, stub, "inline=1")
    assert (done.code, said["good"], said["late"]) == (1, False, True)
    assert said["unsent"] > 30


class Stopped(Stub):
    """While it answers the twentieth request somebody presses Ctrl-C; that one and all behind it take so long."""

    def __init__(self, takes_s: float) -> None:
        super().__init__(predict=answer(200, label="a"))
        self.takes_s, self.asked = takes_s, 0

    def __call__(self, path: str) -> Answer:
        if path.endswith("/predict"):
            with self.busy:
                self.asked += 1
                number = self.asked
            if number == 20:
                _thread.interrupt_main()
            if number >= 20:
                time.sleep(self.takes_s)
        return super().__call__(path)

    def loaded(self, run: Run, *more: str) -> tuple[Done, dict[str, Any]]:
        with serving(self) as (url, _):
            words = ("load", "--seconds", "3600", "--warm-up", "0", "--rate", "40", "--mix", "inline=1", "--json")
            done = run(*words, *more, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
        return done, json.loads(done.out)


def test_who_stops_it_gets_a_report_of_all_that_was_asked_until_then(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cli.load.drive.STOPPED_S", 120.0)
    stub, picture = Stopped(0.3), tmp_path / "load.svg"
    done, said = stub.loaded(run, "--picture", str(picture))
    assert (done.code, json.loads(done.err)["error"]["code"]) == (130, "INTERRUPTED")
    assert only(said, "routes")["ok"] == stub.asked >= 20
    assert 0 < said["lasted_s"] < said["seconds"] == 3600
    # A busy machine may not send what is due; what is due later is 144,000 requests.
    assert said["unsent"] < 2000
    assert said["good"] is False
    assert ET.parse(picture).getroot().tag.endswith("svg")


def test_who_stops_it_is_told_of_what_was_not_answered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.load.drive.STOPPED_S", 0.2)
    done, said = Stopped(3.0).loaded(run)
    assert (done.code, said["late"], said["good"]) == (130, True, False)
    assert said["unsent"] > 0


def test_a_model_that_takes_a_whole_file_is_not_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {"inline": False, "example": {}, "file_types": ["audio/wav"]}
    monkeypatch.setitem(MODELS, "/api/v1/models/m/versions/1.0.0", whole)
    with serving(Stub()) as (url, _):
        for words, told in (((), "There is no model that takes rows"), (("--model", "m"), "m takes a whole file")):
            done = run("load", *words, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
            assert (done.code, done.out) == (1, "")
            assert told in done.err


def test_a_job_that_fails_is_told_by_its_code(run: Run) -> None:
    failed = answer(200, status="failed", error={"code": "MODEL_ERROR", "message": "no"})
    done, said = loaded(run, Stub(jobs=answer(202, job_id=JOB), job=failed), "poll=1")
    row = only(said, "errors")
    assert done.code == 1
    assert (row["code"], row["expected"], row["count"]) == ("MODEL_ERROR", False, said["tickets"]["failed"])


def test_an_error_that_is_none_of_coatchecks_ends_with_1(run: Run) -> None:
    done, said = loaded(run, Stub(predict=(502, {}, b"<html>")), "inline=1")
    row = only(said, "errors")
    assert (done.code, row["code"], row["expected"]) == (1, "HTTP_502", False)
    assert json.loads(done.err.splitlines()[-1])["error"]["code"] == "LOAD"


def test_a_refusal_that_says_when_to_come_again_is_no_fault_and_one_that_does_not_is(run: Run) -> None:
    body = json.dumps({"error": {"code": "BUSY", "message": "busy"}}).encode()
    for headers, code in (({"Retry-After": "1"}, 0), ({}, 1)):
        done, said = loaded(run, Stub(predict=(503, {**JSON, **headers}, body)), "inline=1")
        assert (done.code, only(said, "errors")["code"]) == (code, "BUSY")
        assert only(said, "routes")["ok"] == 0


def test_who_obeys_asks_again_and_waits_from_when_it_was_due(run: Run) -> None:
    full = (429, {**JSON, "Retry-After": "1"}, b'{"error": {"code": "RATE_LIMITED", "message": "slowly"}}')
    stub = Stub(predict=full)
    timer = threading.Timer(0.7, lambda: stub.routes.update(predict=answer(200, label="a")))
    timer.start()
    done, said = loaded(run, stub, "inline=1", "--obey")
    timer.join()
    row = only(said, "routes")
    assert done.code == 0, done.err
    assert row["p99"] > 1000
    assert row["ok"] > 30


def test_who_lets_what_is_hostile_in_is_told_so(run: Run) -> None:
    done, said = loaded(run, Stub(predict=answer(200, label="a")), "hostile=1")
    codes = {row["code"] for row in said["errors"]}
    assert done.code == 1
    assert {"200 for UNAUTHORIZED", "200 for MALFORMED_REQUEST"} <= codes


@pytest.mark.usefixtures("quiet", "worker")
def test_a_platform_stands_every_part_of_the_mix_and_no_ticket_is_lost(here: Here) -> None:
    mix = "inline=4,batch=2,poll=3,stream=3,file=1,burst=1,hostile=4"
    words = ("load", "--model", here.published(), "--rate", "8", "--seconds", "5", "--warm-up", "1", "--mix", mix)
    done = here(*words, "--picture", "load.svg", "--json")
    said = json.loads(done.out)
    assert done.code == 0, (said["errors"], said["tickets"])
    assert said["tickets"]["accepted"] == said["tickets"]["done"] > 0
    assert len(said["routes"]) >= 5
    drawn = ET.parse(here.folder / "load.svg").getroot()
    names = {item.tag.rpartition("}")[2] for item in drawn}
    assert {"title", "desc", "polyline"} <= names


@pytest.mark.usefixtures("quiet")
def test_people_are_told_in_a_table(here: Here) -> None:
    name = here.published()
    done = here("load", "--model", name, "--seconds", "2", "--warm-up", "0", "--mix", "inline=1")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].split()[:4] == ["route", "sent", "ok", "refused"]
    assert "tickets: accepted 0, done 0, failed 0, lost 0, open 0" in done.out
    assert f"{name} 1.0.0: " in done.out


def test_a_percentile_is_at_most_two_percent_above_what_was_measured() -> None:
    found = Histogram()
    for number in range(1, 1001):
        found.add(number / 1000)
    for percent in (50, 99, 99.9):
        assert percent / 100 <= found.percentile(percent) <= percent / 100 * 1.021
    assert found.percentile(100) == found.most_s == 1.0
    assert Histogram().percentile(50) is None


def counted(mix: dict[str, float], seed: int = 7) -> list[str]:
    return [item.kind for item in arrivals(mix, 50, 200, random.Random(seed))]


def test_so_many_requests_arrive_as_were_asked_for_bursts_and_all() -> None:
    for mix in ({"inline": 1.0}, {"inline": 1.0, "burst": 1.0}, {"poll": 3.0, "burst": 1.0}):
        assert 9000 < len(counted(mix)) < 11_000
    alone = [item.due_s for item in arrivals({"burst": 1.0}, 50, 10, random.Random(7))]
    assert len(alone) == BURST * len(set(alone))
    assert set(counted(DEFAULT)) == {*DEFAULT} - {"burst"}


@pytest.mark.parametrize("count", [0, 1, 12])
def test_all_that_is_drawn_lies_within_the_picture(count: int) -> None:
    row = {"p50": 1.0, "p99": 10.0, "p99_9": 100.0, "max": 100.0, "asked": 1, "errors": {}}
    said = {
        "model": "a", "model_version": "1.0.0", "asked_per_s": 1.0, "seconds": 1.0, "tickets": {},
        "routes": [{**row, "route": f"r{number}"} for number in range(count)], "moments": [row],
    }  # fmt: skip
    drawn = ET.fromstring(svg(said))
    height = float(drawn.attrib["viewBox"].split()[3])
    places = [
        float(item.attrib[name]) for item in drawn.iter() for name in ("y", "y1", "y2", "cy") if name in item.attrib
    ]
    assert height - 60 < max(places) < height


def test_a_picture_of_nothing_is_still_one() -> None:
    nothing = {"p50": None, "p99": None, "p99_9": None, "max": None}
    said = {
        "model": "a<b", "model_version": "1.0.0", "asked_per_s": 1.0, "seconds": 1.0, "tickets": {}, "routes": [],
        "moments": [nothing],
    }  # fmt: skip
    assert ET.fromstring(svg(said)) is not None
