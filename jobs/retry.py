"""Deciding whether to try again: a pure function of the error and the attempt."""

from __future__ import annotations

import random

from core import errors

BASE_S = 5.0
CAP_S = 300.0
PAUSE_S = 4.0


def delay_s(
    error: errors.CoatcheckError, *, attempt: int, max_attempts: int, chance: float | None = None
) -> float | None:
    """Seconds to wait before the next attempt, or None to give up.

    Full jitter: uniform in [0, `longest_s`]; `chance` in [0, 1) replaces the random draw.
    """
    if not error.retryable or attempt >= max_attempts:
        return None
    draw = random.random() if chance is None else chance  # noqa: S311 - jitter, not a secret
    return draw * longest_s(attempt)


def longest_s(attempt: int) -> float:
    """No wait behind this attempt is longer: min(cap, base * 4^(attempt-1)) seconds."""
    return float(min(CAP_S, BASE_S * 4 ** (attempt - 1)))


def pause_s() -> float:
    """Seconds until another try of what the platform could not begin: other workers may be able to, so soon."""
    return random.uniform(PAUSE_S / 2, PAUSE_S * 1.5)  # noqa: S311 - jitter, not a secret
