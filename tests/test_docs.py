from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from api import exposition
from core.cached import Cached
from jobs import figures
from tests.conftest import ROOT, Platform

DOCUMENTS = pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.name
)
READ: Mapping[str, Callable[[str], object]] = {"yaml": yaml.safe_load, "toml": tomllib.loads, "python": ast.parse}


def test_every_threat_names_tests_that_are_there() -> None:
    text = (ROOT / "docs/security.md").read_text().split("## Threats")[1].split("## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    for _, threat, _, tests, _ in rows:
        named = re.findall(r"(test_\w+\.py)", tests)
        assert named, threat
        assert set(named) <= there, threat


@DOCUMENTS
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", document.read_text()):
        there = document.parent / target if target else document
        assert there.exists(), target
        assert not heading or heading in headings(there), f"{target}#{heading}"


def headings(document: Path) -> set[str]:
    """As GitHub names them in an address."""
    text = re.sub(r"^ *```.*?^ *```$", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = [re.sub(r"\]\(.*?\)", "", title).lower() for title in re.findall(r"^#+ (.*)", text, re.MULTILINE)]
    return {re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles}


@DOCUMENTS
def test_examples_stand_on_lines_of_their_own_and_can_be_read(document: Path) -> None:
    text = document.read_text()
    fences = [line for line in text.splitlines() if "```" in line]
    assert [line for line in fences if not re.fullmatch(r" *```\w*", line)] == []
    assert len(fences) % 2 == 0
    for language, example in re.findall(r"^ *```(\w+)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        if read := READ.get(language):
            read(textwrap.dedent(example))


def test_every_metric_is_in_the_tables_and_nothing_else(platform: Platform) -> None:
    text = exposition.text(Cached(lambda: figures.read(platform.engine), 0)).decode()
    told = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    ours = {name for name in told if not name.startswith(("python_", "process_"))}
    rows = [line for line in (ROOT / "docs/metrics.md").read_text().splitlines() if line.startswith("| `")]
    named = {
        name
        for row in rows
        for name in re.findall(r"`((?:access|grpc|infer|http|routes|webhook|redis|upkeep)_[a-z_]+)`", row.split("|")[1])
    }
    assert named == ours
