"""`. .coatcheck/env`, as shells read it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from local import environments
from tests.conftest import until

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "ksh") if shutil.which(shell)]
#: A checkout may lie anywhere.
NAMES = ("plain", "with space", "ünï 本", "it's", 'a"quote', "$HOME `x` \\back", "star*?[x]", "-dash", "a%d{bin}")
TOLD = {"COATCHECK_URL": "http://127.0.0.1:8000", "COATCHECK_API_KEY": 'it\'s $a "key" `x`', "S3_BUCKET": "two words"}


def read(shell: str, folder: Path, script: str, path: str) -> list[str]:
    env = {"PATH": path, "LANG": "C.UTF-8"}
    called = [str(shutil.which(shell)), "-euc", script]
    found = subprocess.run(called, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", NAMES)
def test_the_command_is_on_the_path_once_however_often_it_is_sourced(tmp_path: Path, shell: str, name: str) -> None:
    ours = [tmp_path / name / number / ".coatcheck" for number in ("1", "2")]
    for folder in ours:
        folder.mkdir(parents=True)
        environments.write(folder, TOLD)
        environments.write(folder, TOLD)
        assert (folder / "env").stat().st_mode & 0o777 == 0o600
    first, second = (str(folder / "bin") for folder in ours)
    there = os.environ["PATH"]
    both = ". ./1/.coatcheck/env; . ./2/.coatcheck/env.admin; . ./1/.coatcheck/env.admin; . ./1/.coatcheck/env; "
    told = read(
        shell, tmp_path / name, f'{both} command -v coatcheck; printf "%s\\n" "$PATH" "$COATCHECK_API_KEY"', there
    )
    assert told == [f"{first}/coatcheck", f"{first}:{second}:{there}", TOLD["COATCHECK_API_KEY"]]
    assert os.listdir(first) == ["coatcheck"]
    left = read(shell, tmp_path / name, ". ./1/.coatcheck/env.admin; set", there)
    assert not [line for line in left if line.startswith(("_coatcheck=", "_path="))]


@pytest.mark.parametrize("there", ["/usr/bin:/bin", "/bin", ":/usr/bin:/bin", "/usr/bin:/bin:", "/usr/bin::/bin"])
def test_the_rest_of_the_path_stays_as_it_is(tmp_path: Path, there: str) -> None:
    environments.write(tmp_path, TOLD)
    for script in (". ./env;", ". ./env; . ./env;"):
        assert read("bash", tmp_path, f'{script} echo "$PATH"', there) == [f"{tmp_path}/bin:{there}"]


def test_what_is_on_the_path_is_this_command(tmp_path: Path) -> None:
    environments.write(tmp_path, TOLD)
    (told,) = read("sh", tmp_path, ". ./env; coatcheck --version", os.environ["PATH"])
    assert told.startswith("coatcheck ")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_ctrl_c_before_any_code_of_ours_runs_is_told_like_a_later_one(tmp_path: Path, more: tuple[str, ...]) -> None:
    environments.write(tmp_path, TOLD)
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen([tmp_path / "bin" / "coatcheck", "jobs", *more], env={"PATH": "/usr/bin:/bin"}, **pipes)  # type: ignore[call-overload]
    until(lambda: "python" in os.readlink(f"/proc/{child.pid}/exe"))
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, b"")
    if more:
        assert json.loads(err)["error"]["code"] == "INTERRUPTED"
    else:
        assert err == b"Error: Stopped by Ctrl-C\n"


@pytest.mark.parametrize(
    ("env", "python"), [("/bin/false", "/there/python"), (None, "/there/python"), (shutil.which("env"), "/a=b/python")]
)
def test_where_no_signal_can_be_blocked_the_command_is_there_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, env: str | None, python: str
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: env)
    monkeypatch.setattr("sys.executable", python)
    environments.write(tmp_path, TOLD)
    command = tmp_path / "bin" / "coatcheck"
    assert (command.is_symlink(), command.readlink()) == (True, Path(python).with_name("coatcheck"))
    assert command.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_a_colon_cannot_be_on_a_path_and_does_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    environments.write(folder, TOLD)
    script = '. ./env; echo "$PATH"; echo "$COATCHECK_URL"'
    assert read("sh", folder, script, "/usr/bin:/bin") == ["/usr/bin:/bin", TOLD["COATCHECK_URL"]]
