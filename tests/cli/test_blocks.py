"""Operators see who is held back, and let them go."""

from __future__ import annotations

import uuid

import pytest

import models
from core import audit
from tests import factories
from tests.cli.conftest import Here

pytestmark = pytest.mark.usefixtures("quiet")


def test_who_is_held_back_is_listed_until_they_are_let_go(here: Here) -> None:
    subject = f"address:2001:db8:{uuid.uuid4().hex[:4]}::/64"
    factories.add(here.platform, models.Block, subject=subject, level=2, reason="scanning")
    (line,) = [line for line in here("blocks", "list").out.splitlines() if line.startswith(subject)]
    assert line.split()[1:3] == ["slowed", "scanning"]
    done = here("blocks", "lift", subject)
    assert (done.code, done.out) == (0, f"{subject} is let go\n")
    assert subject not in here("blocks", "list").out
    again = here("blocks", "lift", subject)
    assert (again.code, "Nobody of that name is held back" in again.err) == (1, True)
    rows = here.platform.rows("SELECT actor, address, action FROM audit WHERE object = :subject", subject=subject)
    assert rows == [(audit.operator().name, None, "block.lifted")]
