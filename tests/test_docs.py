from __future__ import annotations

import re
from pathlib import Path

import pytest

from api import exposition
from core.cached import Cached
from jobs import figures
from tests.conftest import ROOT, Platform


def test_every_threat_names_tests_that_are_there() -> None:
    text = (ROOT / "docs/security.md").read_text().split("## Threats")[1].split("## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    for _, threat, _, tests, _ in rows:
        named = re.findall(r"(test_\w+\.py)", tests)
        assert named, threat
        assert set(named) <= there, threat


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: p.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


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
