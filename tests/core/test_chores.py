"""What is written down of housekeeping."""

from __future__ import annotations

import dataclasses

from core import chores
from core.chores import Chore
from tests.conftest import Platform


def test_a_chore_is_late_by_the_time_that_it_has_now_and_not_by_the_one_that_it_had(platform: Platform) -> None:
    chore = Chore("sweep a test", 3600, lambda: 0)
    names = [item.name for item in chores.standing(platform.engine)] + [chore.name]
    chores.done(platform.engine, chore, names)
    chores.done(platform.engine, dataclasses.replace(chore, every_s=1), names)
    platform.execute("UPDATE chores SET succeeded_at = now() - interval '100 s' WHERE name = :name", name=chore.name)
    (found,) = [item for item in chores.standing(platform.engine) if item.name == chore.name]
    platform.execute("DELETE FROM chores WHERE name = :name", name=chore.name)
    assert 99 <= found.late_s < 110
