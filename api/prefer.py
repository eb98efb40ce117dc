"""`Prefer: respond-async` and `Prefer: wait=N` (RFC 7240)."""

from __future__ import annotations

from core import errors
from serving.values import Preference


def parse(header: str | None, *, max_wait_s: float) -> Preference:
    """Unknown preferences are ignored, as the RFC asks; a `wait` that is no number or too long raises InvalidInput."""
    respond_async, wait_s = False, None
    for part in (header or "").split(","):
        name, _, value = part.split(";")[0].strip().partition("=")
        if name.strip().lower() == "respond-async":
            respond_async = True
        elif name.strip().lower() == "wait" and wait_s is None:
            wait_s = _seconds(value.strip().strip('"'), max_wait_s)
    return Preference(respond_async, wait_s, said=bool(header))


def _seconds(text: str, max_wait_s: float) -> float:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) > max_wait_s:
        raise errors.InvalidInput.field(
            "Prefer", f"wait must be whole seconds from 0 to {max_wait_s:g}", received=text[:40]
        )
    return float(text)
