"""What holds for every command there is, and for any that comes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import click
import pytest

from cli import main
from cli.text import Text
from tests.cli.conftest import ALONE, ALSO, COMMANDS, KEY, OURS, SECRET, WITHOUT_RESULT, Run, called, leaves
from tests.conftest import ROOT

EVERY = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
RESULTS = pytest.mark.parametrize("path", sorted(COMMANDS.keys() - WITHOUT_RESULT), ids=" ".join)
STRANGERS = pytest.mark.parametrize("path", sorted(COMMANDS.keys() - OURS - ALONE), ids=" ".join)


def error(text: str) -> dict[str, object]:
    """The one JSON document on standard error, after what is told to people."""
    told = json.loads(text.splitlines()[-1])["error"]
    assert told.keys() == {"code", "message", "details", "retryable"}
    return dict(told)


@EVERY
def test_help_explains_the_command_and_each_of_its_options(run: Run, path: tuple[str, ...]) -> None:
    done = run(*path, "--help")
    assert (done.code, done.err) == (0, "")
    assert run(*path, "-h") == done
    assert max(map(len, done.out.splitlines())) <= 80
    for option in COMMANDS[path].params:
        assert isinstance(option, click.Argument) or getattr(option, "help", None), option.name


@pytest.mark.parametrize("path", [(), *sorted({path[:-1] for path in COMMANDS if len(path) > 1})], ids=" ".join)
def test_no_group_cuts_what_its_commands_do(run: Run, path: tuple[str, ...]) -> None:
    assert ".." not in run(*path, "--help").out.replace("[ARGS]...", "")


@RESULTS
def test_what_has_a_result_gives_it_as_json(path: tuple[str, ...]) -> None:
    assert "--json" in [name for option in COMMANDS[path].params for name in option.opts]


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out == f"coatcheck {metadata.version('coatcheck')}\n"


@EVERY
def test_what_is_called_wrongly_ends_with_2_and_a_key_is_not_repeated(
    run: Run, tmp_path: Path, path: tuple[str, ...]
) -> None:
    odd = "any-other-secret"
    for words in ((f"--{KEY}-{odd}",), (*called(path, tmp_path)[len(path) :], *[KEY, odd] * 9, "--nothing")):
        done = run(*path, *words, COATCHECK_API_KEY=odd)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(f"Usage: {' '.join(('coatcheck', *path))} ")
        assert "Error: " in done.err
        assert not [secret for secret in (SECRET, odd) if secret in done.err]
        done = run(*path, *words, "--json", COATCHECK_ADMIN_KEY=odd)
        assert (done.code, done.out, error(done.err)["code"]) == (2, "", "USAGE")
        assert not [secret for secret in (SECRET, odd) if secret in done.err]


VALUED = [
    (path, param)
    for path, command in COMMANDS.items()
    for param in command.params
    if not isinstance(param, click.Option) or not param.is_flag
]


def given(param: click.Parameter, command: click.Command, value: str) -> list[str]:
    """As an option, or as an argument in its place."""
    if isinstance(param, click.Option):
        return [param.opts[0], value]
    before = [each for each in command.params if not isinstance(each, click.Option)].index(param)
    return [*["x"] * before, value]


@pytest.mark.parametrize(
    ("path", "param"), VALUED, ids=lambda it: it.name if isinstance(it, click.Parameter) else " ".join(it)
)
def test_nothing_is_taken_for_left_out_where_it_is_empty(
    run: Run, path: tuple[str, ...], param: click.Parameter
) -> None:
    done = run(*path, *given(param, COMMANDS[path], ""))
    assert (done.code, done.out) == (2, "")
    assert "Error: Invalid value for " in done.err
    if isinstance(param.type, Text):
        done = run(*path, *given(param, COMMANDS[path], "a\udcff"))
        assert (done.code, "must be UTF-8" in done.err) == (2, True)


def test_what_stands_behind_two_dashes_is_no_option(run: Run) -> None:
    done = run("keys", "revoke", "--", "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("Error: Invalid value for 'KEY_ID': must be a key's id alone")


@STRANGERS
def test_without_settings_one_sentence_says_where_they_are(run: Run, tmp_path: Path, path: tuple[str, ...]) -> None:
    if path in {("serve",), ("serve-express",), ("serve-grpc",), ("proxy",), ("roles",), ("migrate",)}:
        words, told = called(path, tmp_path), "not set"
        words = words if path != ("proxy",) else [*path, "--folder", str(tmp_path / "nginx")]
    else:
        words, told = called(path, tmp_path), ". .coatcheck/env"
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert told in line
    if path not in WITHOUT_RESULT:
        done = run(*words, "--json")
        assert (done.code, done.out) == (2, "")
        assert told in str(error(done.err)["message"])


@STRANGERS
def test_where_nobody_answers_one_sentence_says_who(
    run: Run, tmp_path: Path, path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if path in {("serve",), ("serve-express",), ("serve-grpc",), ("proxy",), ("roles",), ("migrate",)}:
        pytest.skip("they go on trying, or replace this process")
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    monkeypatch.setattr("cli.answers.PATIENCE_S", 0.0)
    nowhere = {
        "COATCHECK_URL": "http://127.0.0.1:9", "COATCHECK_API_KEY": KEY, "REDIS_URL": "redis://127.0.0.1:9",
        "DATABASE_URL": "postgresql://coatcheck:hush@127.0.0.1:9/coatcheck", "S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "S3_ACCESS_KEY": "a", "S3_SECRET_KEY": "hush", "COATCHECK_SECRET_KEY": "k" * 32,
    }  # fmt: skip
    done = run(*called(path, tmp_path), "--json", **nowhere)
    assert (done.code, done.out) == (1, "")
    told = error(done.err)
    assert told["code"] in ("UNAVAILABLE", "UNREACHABLE")
    assert "does not answer" in str(told["message"])
    assert told["retryable"] is True
    assert not {"hush", SECRET} & set(done.err.split())


@pytest.mark.parametrize("path", sorted(OURS), ids=" ".join)
def test_a_damaged_checkout_is_one_sentence_on_standard_error(run: Run, tmp_path: Path, path: tuple[str, ...]) -> None:
    folder = tmp_path / ".coatcheck"
    (folder / "run").mkdir(parents=True)
    for name in ("state.json", "run/supervisor.json"):
        (folder / name).write_text("{")
    done = run(*path)
    assert (done.code, done.out) == (1, "")
    (line,) = done.err.splitlines()
    assert line.startswith("Error: ")
    assert "is damaged: remove it" in line
    if path not in WITHOUT_RESULT:
        done = run(*path, "--json")
        assert (done.code, done.out) == (1, "")
        assert "is damaged: remove it" in str(error(done.err)["message"])


def test_a_command_is_in_these_tests_as_soon_as_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command("new")
    def new() -> None: ...

    monkeypatch.setitem(main.coatcheck.commands["models"].commands, "new", new)  # type: ignore[attr-defined]
    assert dict(leaves(main.coatcheck)).keys() - COMMANDS.keys() == {("models", "new")}
    assert COMMANDS.keys() >= WITHOUT_RESULT | OURS | ALONE | ALSO.keys()


def test_each_is_called_as_it_is_named() -> None:
    assert all(command.name == name for name, command in main.coatcheck.commands.items())


@pytest.mark.parametrize("name", ["jobs", "result", "submit", "explain", "load"])
def test_what_clients_call_waits_for_no_library_of_an_engine(name: str) -> None:
    asked = "import sys; from cli import main; main.coatcheck.commands[sys.argv[1]]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked, name], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not {"alembic", "boto3", "numpy", "redis", "sqlalchemy"} & {*done.stdout.split()}


GROUPS = [(), *sorted({path[:-1] for path in COMMANDS if len(path) > 1})]


@pytest.mark.parametrize("path", GROUPS, ids=" ".join)
def test_a_word_that_is_no_command_and_a_flag_that_is_none_are_told_as_usage(run: Run, path: tuple[str, ...]) -> None:
    for words in (("nosuch",), ("--nosuch",)):
        done = run(*path, *words)
        assert (done.code, done.out) == (2, "")
        assert words[0] in done.err
        done = run(*path, *words, "--json")
        assert (done.code, done.out, error(done.err)["code"]) == (2, "", "USAGE")


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    done = run()
    assert (done.code, done.out) == (2, "")
    assert done.err == run("--help").out
    assert main.coatcheck.help


#: Every option with its value if none is given; a flag is marked with a star, what is insisted on with a !.
AS_JSON = "--json*"
LIMITS = (
    "--priorities --past-allowance --pace --max-running --max-pending --max-ttl-s --keep-s --max-uploads"
    " --max-upload-bytes --max-run-s --requests-per-minute --requests-burst --units-per-minute --units-burst"
    " --monthly-units --allowance-percent --unit-price"
)
OPTIONS = {
    "up": "--detach* --quiet*",
    "down": "",
    "status": AS_JSON,
    "serve": "--host=127.0.0.1 --port=8000 --socket",
    "serve-express": "--host=127.0.0.1 --port=8002 --socket",
    "serve-grpc": "--host=127.0.0.1",
    "proxy": "--listen=0.0.0.0:8000 --metrics=127.0.0.1:9100 --flower=127.0.0.1:5555 --s3 --api-at=api:8000 "
    "--express-at --flower-at=flower:5555 --s3-at=seaweedfs:8333 --resolver --folder!",
    "submit": f"--model --version --format --fail-fast* --priority -o/--output --no-wait* {AS_JSON}",
    "jobs": f"--status --model --limit=20 {AS_JSON}",
    "result": f"-o/--output {AS_JSON}",
    "explain": f"--input --inputs --version --picture --tolerance --strict* {AS_JSON}",
    "load": f"--rate=20.0 --seconds=60 --warm-up=5 --mix --model --obey* --picture {AS_JSON}",
    "roles": "",
    "migrate": "",
    "models init": f"--python --row --name --out {AS_JSON}",
    "models check": AS_JSON,
    "models push": f"--stable* {AS_JSON}",
    "models list": AS_JSON,
    "models stable": AS_JSON,
    "models deprecate": f"--message --sunset --undo* {AS_JSON}",
    "models remove": AS_JSON,
    "models pull": f"--out {AS_JSON}",
    "models show": f"--version {AS_JSON}",
    "models try": f"--input --inputs --version {AS_JSON}",
    "keys create": f"--tenant=default --tier --name! --scope --admin* --models* --metrics* --model --network "
    f"--expires-in {AS_JSON}",
    "keys list": f"--tenant --all* {AS_JSON}",
    "keys revoke": AS_JSON,
    "keys rotate": f"--overlap=1d {AS_JSON}",
    "tenants list": AS_JSON,
    "tenants show": AS_JSON,
    "tenants create": f"--tier=free {AS_JSON}",
    "tenants change": f"--tier! {AS_JSON}",
    "tiers list": AS_JSON,
    "tiers show": AS_JSON,
    "tiers create": f"--like=free {LIMITS} {AS_JSON}",
    "tiers change": f"{LIMITS} {AS_JSON}",
    "routes show": AS_JSON,
    "routes explain": f"--key! {AS_JSON}",
    "routes canary": AS_JSON,
    "routes promote": AS_JSON,
    "routes rollback": AS_JSON,
    "routes shadows": AS_JSON,
    "routes shadow": AS_JSON,
    "routes quality": AS_JSON,
    "apply": f"-f/--file! --dry-run* {AS_JSON}",
    "blocks list": AS_JSON,
    "blocks lift": AS_JSON,
    "usage": f"--tenant --from --to --by=day {AS_JSON}",
    "adjust": f"--units! --reason! {AS_JSON}",
    "tenants adjustments": f"--limit=20 {AS_JSON}",
    "audit": f"--tenant --subject --actor --action --limit=20 {AS_JSON}",
    "reseal": AS_JSON,
}


def written(option: click.Option) -> str:
    name = "/".join(option.opts)
    if option.is_flag:
        return f"{name}*"
    return f"{name}!" if option.required else f"{name}={option.default}" if option.show_default else name


def options_of(path: tuple[str, ...]) -> list[click.Option]:
    return [option for option in COMMANDS[path].params if isinstance(option, click.Option)]


def test_options_keep_their_names_and_what_holds_without_them() -> None:
    found = {" ".join(path): [written(option) for option in options_of(path)] for path in COMMANDS}
    assert found == {name: words.split() for name, words in OPTIONS.items()}


@EVERY
def test_the_help_says_what_holds_without_an_option(run: Run, path: tuple[str, ...]) -> None:
    options = options_of(path)
    told = " ".join(run(*path, "--help").out.split())
    given = [option.default for option in options if "=" in written(option)]
    assert told.count("[default:") == len(given)
    assert [value for value in given if f"[default: {value}" not in told] == []
    assert told.count("[required]") == sum(option.required for option in options)
    # Nothing that has a value keeps it to itself.
    silent = [option for option in options if not (option.is_flag or option.required or option.show_default)]
    assert [option.name for option in silent if option.to_info_dict()["default"] is not None] == []
