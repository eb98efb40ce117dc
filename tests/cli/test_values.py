"""Values at their bounds: those that an option or a place takes, and those that it does not."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import JOB, Here, Run

STATES = ("pending", "processing", "completed", "failed", "canceled", "expired")
#: Values at their bounds: those that are taken, and those that are refused.
VALUES: list[tuple[tuple[str, ...], str, tuple[str, ...], tuple[str, ...]]] = [
    (("serve",), "--port", ("1", "65535"), ("0", "65536", "-1", "http")),
    (("serve-express",), "--port", ("1", "65535"), ("0", "65536", "-1", "http")),
    (("jobs",), "--limit", ("1", "1000000"), ("0", "-1", "all")),
    (("audit",), "--limit", ("1", "1000000"), ("0", "-1", "all")),
    (("tenants", "adjustments", "acme"), "--limit", ("1", "1000000"), ("0", "-1", "all")),
    (("jobs",), "--status", STATES, ("done", "PENDING", "")),
    (("load",), "--rate", ("0.1", "5000"), ("0", "5001", "fast")),
    (("load",), "--seconds", ("1", "86400"), ("0", "86401", "1.5")),
    (("load",), "--warm-up", ("0", "3600"), ("-1", "3601")),
    (
        ("load",),
        "--mix",
        ("inline=1", "poll=0,hostile=999999"),
        ("", "inline", "inline=0", "odd=1", "poll=1,poll=2", "poll=-1", "poll=1000000"),
    ),
    (("load",), "--picture", ("load.svg",), (".",)),
    (("submit", "rows.jsonl"), "--priority", ("high", "normal", "low"), ("urgent", "")),
    (
        ("submit", "rows.jsonl"),
        "--format",
        ("jsonl", "csv", "wav", "flac", "pdf", "png", "jpg", "webp", "tiff"),
        ("ndjson", "tsv", "json", ""),
    ),
    (("submit", "rows.jsonl"), "--output", ("o.jsonl", "-"), (".",)),
    (("result", JOB), "--output", ("o.jsonl", "-"), (".",)),
    (
        ("keys", "create", "--name", "x"),
        "--expires-in",
        ("1s", "3650d", "90m", "12h"),
        ("0s", "3651d", "-1d", "90", "d", "1w", "1.5h"),
    ),
    (("keys", "create", "--name", "x"), "--scope", ("predict", "usage:read"), ("root", "")),
    (("keys", "rotate", "0" * 12), "--overlap", ("0s", "7d"), ("8d", "-1s", "7")),
    (("proxy", "--folder"), "", ("nginx",), ("rows.jsonl",)),
    (("submit",), "", ("rows.jsonl", "-"), (".", "nosuch.jsonl")),
    (("apply",), "--file", ("plan.yaml",), (".", "nosuch.yaml")),
    (("models", "pull", "m"), "--out", ("new",), ("rows.jsonl",)),
    (("models", "push"), "", (".",), ("rows.jsonl", "nosuch")),
    (("models", "try", "m"), "--inputs", ("rows.jsonl", "-"), (".", "nosuch.json")),
    (("explain", "m"), "--tolerance", ("0", "0.5"), ("-1", "little")),
    (("explain", "m"), "--picture", ("why.svg",), (".",)),
]


@pytest.mark.parametrize(("words", "option", "good", "bad"), VALUES, ids=lambda value: str(value[:2]))
def test_a_value_at_its_bound_is_taken_and_one_beyond_it_is_called_wrong(
    run: Run, words: tuple[str, ...], option: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    named = list(filter(None, (*words, option)))
    for value in (*good, *bad):
        done = run(*named, value)
        # Without settings none of them gets further.
        assert (done.code, done.out) == (2, "")
        assert ("Invalid value for" in done.err) == (value in bad), (value, done.err)
        assert ("not set" in done.err) == (value in good), (value, done.err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("models", "init", "."), "'.' is a directory."),
        (("models", "init", "rows.jsonl", "--out", "rows.jsonl"), "'rows.jsonl' is a file."),
        (("models", "check", "nosuch"), "'nosuch' does not exist."),
        (("keys", "create", "--name", "x", "--expires-in", "0s"), "30m or 45s, from 1s to 3650d"),
        (("result", "job_1"), "Invalid value for JOB_ID: must be a job's id"),
    ],
)
def test_what_is_wrong_with_a_value_is_said(run: Run, words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert (done.code, done.out, said in done.err) == (2, "", True), done.err


@pytest.mark.usefixtures("quiet")
def test_the_whole_command_that_shows_more_jobs_is_said(here: Here) -> None:
    for _ in range(2):
        assert here("submit", "rows.jsonl", "--model", "sentiment", "--no-wait").code == 0
    assert len(json.loads(here("jobs", "--limit", "2", "--json").out)) == 2
    assert here("jobs", "--limit", "2").err == ""
    assert here("jobs", "--limit", "1").err == "There are more; --limit 2 shows more of them\n"
