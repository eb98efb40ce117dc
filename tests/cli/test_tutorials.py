"""Each page of docs/tutorials as somebody follows it: its files written, its commands run, its output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from local import environments
from tests.cli.conftest import Here
from tests.conftest import ROOT

PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
#: A fenced block, with the name of the file that it is, where the paragraph above ends in one.
BLOCK = re.compile(r"(?:`([^`\n]+)`[^`\n]*:\n\n)?```(\w+)\n(.*?)```\n", re.DOTALL)
NUMBER = r"-?\d+\.\d+(?:e-?\d+)?"
END = "== end of what this block says =="
#: What is not among the tests' own libraries, and what among them needs a library of the machine, libgomp.
NEEDS = {"images.md": "torch", "lightgbm.md": "lightgbm"}


def scripted(page: str) -> tuple[str, list[str]]:
    """All that a page has one do, as a script of one shell; and what each of its blocks of commands is to say, or
    nothing where the page does not show it."""
    lines, told = ["set -e"], []
    for name, language, text in BLOCK.findall(page):
        if language == "sh":
            lines += [text, f"echo '{END}'"]
            told.append("")
        elif language == "text":
            told[-1] = text
        else:
            assert name, f"no file is named above: {text}"
            lines += [f"mkdir -p '{Path(name).parent}'", f"cat > '{name}' <<'END OF FILE'\n{text}END OF FILE"]
    return "\n".join(lines), told


def same(said: str, told: str) -> bool:
    """Whether it is that, but for what … stands for and the last digits of fractions."""
    parts = re.split(f"(…|{NUMBER})", told)
    fractions = [part for part in parts if re.fullmatch(NUMBER, part)]
    forms = [".*" if part == "…" else f"({NUMBER})" if part in fractions else re.escape(part) for part in parts]
    found = re.fullmatch("".join(forms), said)
    return found is not None and [*map(float, found.groups())] == pytest.approx([*map(float, fractions)], 0.02, 0.02)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.usefixtures("worker")
def test_whoever_does_as_the_page_says_sees_what_it_shows(
    here: Here, page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = NEEDS.get(page.name, "sys")
    if subprocess.run([sys.executable, "-c", f"import {library}"], capture_output=True, check=False).returncode:
        pytest.skip(f"{library} cannot be imported here")
    script, told = scripted(page.read_text())
    (tmp_path / ".coatcheck").mkdir()
    environments.write(tmp_path / ".coatcheck", here.env)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    # A platform runs: that of the tests.
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o700)
    # What a page has one install is here already, or is in a folder of the page.
    installed = tmp_path / "installed" / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    monkeypatch.syspath_prepend(installed)
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_PREFIX": str(tmp_path / "installed")}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, **pip, "LANG": "C.UTF-8", "PYTHONPATH": os.pathsep.join((str(ROOT), str(installed)))}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for said, expected in zip(done.stdout.split(f"{END}\n"), told, strict=False):
        assert not expected or same(said, expected), f"{said}\nis not\n{expected}"
