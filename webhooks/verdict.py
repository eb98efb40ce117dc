"""What one answer means for a delivery and for the receiver behind it."""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass

from webhooks.events import Event
from webhooks.http_post import Answer

JITTER = 0.2
MAX_RETRY_AFTER_S = 86_400.0
#: A receiver that says one of these wants to be left alone for a while, not only with this delivery.
THROTTLING = (429, 502, 503, 504)
GONE = 410


class Ending(enum.StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    AGAIN = "pending"


@dataclass(frozen=True)
class Verdict:
    """How an attempt ends; `delay_s` is when to try again, `hold_s` how long the receiver is to be left alone."""

    ending: Ending
    delay_s: float = 0.0
    hold_s: float = 0.0
    gone: bool = False


def judge(answer: Answer, event: str, *, tries: int, schedule: Sequence[float]) -> Verdict:
    """After `tries` attempts of this round: delivered on 2xx, failed on 410 or when the schedule is spent (progress is
    tried once), else again."""
    if answer.good:
        return Verdict(Ending.DELIVERED)
    if answer.status == GONE:
        return Verdict(Ending.FAILED, gone=True)
    wish_s = min(answer.retry_after_s or 0.0, MAX_RETRY_AFTER_S) if answer.status in THROTTLING else 0.0
    if tries >= len(schedule) or event == Event.PROGRESS:
        return Verdict(Ending.FAILED, hold_s=wish_s)
    delay_s = schedule[tries] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - not a secret
    return Verdict(Ending.AGAIN, max(delay_s, wish_s), hold_s=wish_s)


def span_s(schedule: Sequence[float]) -> float:
    """The longest that a delivery may wait in all: its whole schedule, and what receivers may add to it."""
    return sum(schedule) * (1 + JITTER) + MAX_RETRY_AFTER_S
