"""What a load came to: for programs, and for people."""

from __future__ import annotations

from typing import Any

from cli import output
from cli.load.drive import SENDERS, Plan
from cli.load.histogram import Histogram
from cli.load.model import Model
from cli.load.record import Record
from cli.words import count

PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99_9": 99.9}
#: What leaves so late is the doing of this machine, or of all senders being under way.
LATE_MS = 100.0


def document(plan: Plan, model: Model, record: Record) -> dict[str, Any]:
    """All of it; latencies in milliseconds, from when a request was due."""
    tickets = record.tickets
    sent = record.lag.count
    lag = _ms(record.lag.percentile(99))
    return {
        "model": model.name,
        "model_version": model.version,
        "seconds": plan.seconds,
        "lasted_s": round(record.lasted_s, 1),
        "asked_per_s": plan.rate,
        "sent_per_s": round(sent / record.lasted_s, 1) if record.lasted_s else 0.0,
        "lag_p99_ms": lag,
        "late": bool(record.unsent) or (lag or 0.0) > LATE_MS,
        "unsent": record.unsent,
        "routes": [
            {"route": name, "sent": item.sent, "ok": item.ok, "refused": item.refused, **latencies(item.took)}
            for name, item in sorted(record.routes.items())
        ],
        "errors": [
            {"route": route, "code": code, "expected": expected, "count": number}
            for (route, code, expected), number in sorted(record.errors.items())
        ],
        "tickets": {
            "accepted": tickets.accepted, "done": tickets.done, "failed": tickets.failed, "lost": tickets.lost,
            "open": tickets.open,
        },
        "moments": [latencies(moment) for moment in record.moments],
        "good": record.good,
    }  # fmt: skip


def latencies(found: Histogram) -> dict[str, float | None]:
    named = {name: _ms(found.percentile(percent)) for name, percent in PERCENTILES.items()}
    return {**named, "max": _ms(found.most_s if found.count else None)}


def tell(said: dict[str, Any]) -> None:
    """Print it for people."""
    columns = ("route", "sent", "ok", "refused", "p50 ms", "p99 ms", "p99.9 ms", "max ms")
    keys = ("route", "sent", "ok", "refused", "p50", "p99", "p99_9", "max")
    output.table(columns, [[_shown(row[key]) for key in keys] for row in said["routes"]])
    if said["errors"]:
        output.line("")
        named = [[row["route"], row["code"], row["count"], row["expected"]] for row in said["errors"]]
        output.table(("route", "error", "count", "refusal"), named)
    output.line("")
    output.line("tickets: " + ", ".join(f"{name} {number:,}" for name, number in said["tickets"].items()))
    about = f"{said['model']} {said['model_version']}"
    output.line(f"{about}: {said['sent_per_s']:g} of {said['asked_per_s']:g} requests a second were sent")
    if said["late"]:
        unsent = f", and {count(said['unsent'], 'request')} not answered or sent" if said["unsent"] else ""
        output.say(
            f"Late: one request of a hundred left {_shown(said['lag_p99_ms'])} ms or more after it was due{unsent}. "
            f"All {SENDERS} senders waited for answers, or this machine can do no more; latencies include that"
        )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)


def _shown(value: object) -> object:
    return "" if value is None else f"{value:,.1f}" if isinstance(value, float) else value
