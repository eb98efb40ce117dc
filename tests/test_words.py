"""Words that are said in several places, as neither may know the other, are the same."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import CheckConstraint

import models
from access import tiers
from api.v1.schemas import webhooks
from cli import answers
from core import broker
from inference import promise
from jobs.job import TERMINAL, Priority, Status
from webhooks.verdict import Ending


def allowed(table: str, constraint: str) -> set[str]:
    """The words that a column's constraint lists."""
    items = models.Base.metadata.tables[table].constraints
    [found] = [item for item in items if isinstance(item, CheckConstraint) and str(item.name).endswith(constraint)]
    return set(re.findall(r"'(\w+)'", str(found.sqltext)))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (set(Status), allowed("jobs", "status")),
        (TERMINAL, allowed("jobs", "finished")),
        (TERMINAL, set(answers.ENDED)),
        (set(Priority), allowed("jobs", "priority")),
        (set(Priority), set(tiers.PRIORITIES)),
        ({*Ending, "sending"}, allowed("webhook_deliveries", "status")),
        ({*Ending, "sending"}, set(webhooks.STATUSES)),
        (set(broker.POOLS) - {broker.EXPLAIN}, set(promise.POOLS)),
    ],
)
def test_a_word_means_the_same_everywhere(ours: set[str], theirs: set[str]) -> None:
    assert ours == theirs
