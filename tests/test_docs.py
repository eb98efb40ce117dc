from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from core.settings import Settings
from tests.conftest import ROOT


def test_every_threat_names_tests_that_are_there() -> None:
    text = (ROOT / "docs/security.md").read_text().split("## Threats")[1].split("## ")[0]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    for _, threat, _, tests, _ in rows:
        named = re.findall(r"(test_\w+\.py)", tests)
        assert named, threat
        assert set(named) <= there, threat


def test_every_setting_is_in_the_table() -> None:
    table = (ROOT / "docs/settings.md").read_text()
    missing = [
        item.name
        for item in dataclasses.fields(Settings)
        if not re.search(rf"`(COATCHECK_)?{item.name.upper()}`", table)
    ]
    assert missing == []


@pytest.mark.parametrize(
    "document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name
)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target
