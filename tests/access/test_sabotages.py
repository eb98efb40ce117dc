"""What is not part of the suite, as it takes minutes, would find its words in the code of today."""

from __future__ import annotations

import pytest

from tests.access.sabotage import CASES
from tests.conftest import ROOT


@pytest.mark.parametrize("name", CASES)
def test_what_each_sabotage_takes_away_is_there(name: str) -> None:
    sabotage, tests = CASES[name]
    assert (ROOT / sabotage.file).read_text().count(sabotage.before) == 1
    assert [path for path in tests.split() if not (ROOT / path).exists()] == []
