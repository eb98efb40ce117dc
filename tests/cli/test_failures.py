"""How a command fails that does not know what went wrong, and how Ctrl-C is heard while it is loaded."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import sqlalchemy

from cli import early, failures, words
from cli.failures import Failure
from core import errors
from tests.conftest import Platform

FAULT = {"field": "x", "issue": "is odd"}
#: What goes wrong; the exit code, the code, the details, whether it may go well the next time, and the sentence.
FAILS: list[tuple[Exception, int, str, object, bool, str]] = [
    (click.ClickException("It is so"), 1, "FAILED", {}, False, "It is so"),
    (click.UsageError("Say more"), 2, "USAGE", {}, False, "Say more"),
    (RuntimeError("a\n  b"), 1, "FAILED", {}, False, "a b"),
    (OSError(2, "No such file", "/there"), 1, "FAILED", {}, False, "/there: No such file"),
    (OSError("odd"), 1, "FAILED", {}, False, "odd"),
    (errors.InvalidInput(errors=[FAULT]), 1, "INVALID_INPUT", FAULT, False, "Input validation failed: x is odd"),
    (errors.BacklogFull("Full", details={"limit": 5}), 1, "BACKLOG_FULL", {"limit": 5}, True, "Full: (limit: 5)"),
    (errors.SettingsInvalid("X is odd"), 2, "SETTINGS_INVALID", {}, False, "X is odd"),
    (errors.BundleInvalid("a:\n  b\n  c"), 1, "BUNDLE_INVALID", {}, False, "a:\n  b\n  c"),
    (Failure("No", code="X", details={"at": Path("a/b")}), 1, "X", {"at": "a/b"}, False, "No"),
    (Failure("No"), 1, "FAILED", {}, False, "No"),
    (KeyboardInterrupt(), 130, "INTERRUPTED", {}, False, "Stopped by Ctrl-C"),  # type: ignore[list-item]
]


def failing(error: BaseException) -> Callable[[], object]:
    def run() -> object:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "exit_code", "code", "details", "retryable", "said"),
    FAILS,
    ids=range(len(FAILS)),
)
def test_whatever_goes_wrong_is_a_sentence_or_a_document_and_an_exit_code(
    capfd: pytest.CaptureFixture[str], error: Exception, exit_code: int, code: str, details: object, retryable: bool,
    said: str,
) -> None:  # fmt: skip
    assert failures.guarded(failing(error), as_json=False) == exit_code
    assert capfd.readouterr() == ("", f"Error: {said}\n")
    assert failures.guarded(failing(error), as_json=True) == exit_code
    out, err = capfd.readouterr()
    told = {"code": code, "message": said, "details": details, "retryable": retryable}
    assert (out, json.loads(err)) == ("", {"error": told})


def test_a_command_that_does_what_it_is_asked_ends_with_what_it_says_or_with_0() -> None:
    for found, code in ((3, 3), (0, 0), ("done", 0), (None, 0)):
        assert failures.guarded(lambda found=found: found, as_json=False) == code  # type: ignore[misc]


def test_what_the_database_refuses_is_told_without_the_statement(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    def divide() -> None:
        with platform.admin.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1 / 0 AS mine"))

    assert failures.guarded(divide, as_json=True) == 1
    error = json.loads(capfd.readouterr().err)["error"]
    assert (error["code"], error["message"], error["retryable"]) == (
        "FAILED", "The database refuses: division by zero", False,
    )  # fmt: skip


@pytest.mark.parametrize(("length", "told"), [(4000, "x" * 4000), (4001, "x" * 4000 + "…")])
def test_a_sentence_has_an_end(capfd: pytest.CaptureFixture[str], length: int, told: str) -> None:
    failures.guarded(failing(Failure("x" * length)), as_json=False)
    assert capfd.readouterr().err == f"Error: {told}\n"


def test_of_a_key_its_public_part_is_told_and_of_a_secret_of_another_form_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert words.hidden(f"cck_{'0a' * 6}_{'5e' * 28} ends") == f"cck_{'0a' * 6}_… ends"
    for name in ("COATCHECK_API_KEY", "COATCHECK_ADMIN_KEY"):
        monkeypatch.setenv(name, " 12345678 ")
        assert words.hidden("it is 12345678.") == f"it is ${name}."
        # In any text there are seven characters.
        monkeypatch.setenv(name, "1234567")
        assert words.hidden("it is 1234567.") == "it is 1234567."


def test_a_name_that_is_no_text_is_kept_and_what_steers_a_terminal_is_not() -> None:
    assert words.printable("\udc80a\udcff é 本") == "\udc80a\udcff é 本"
    assert words.printable("\ud800\udc7f\ue000\x1b\u202e\n") == "�" * 6
    assert words.sentence("No", {"names": ["é"]}) == 'No: (names: ["é"])'
    assert [words.count(number, "row") for number in (0, 1, 2, 1234)] == ["0 rows", "1 row", "2 rows", "1,234 rows"]


def test_ctrl_c_is_heard_in_another_way_while_a_command_is_loaded_and_as_ever_afterwards() -> None:
    usual = signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is usual
    # As who comes by `.coatcheck/bin` has it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with early.leaving():
            assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
            assert signal.getsignal(signal.SIGINT) is not usual
        assert signal.getsignal(signal.SIGINT) is usual
        # Whoever has it ignored goes on ignoring it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with early.leaving():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
