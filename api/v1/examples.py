"""Requests that succeed as they stand, for the contract: of each route one for every way of negotiation.

Where an id or a signed address is part of it, yours goes there.
"""

from __future__ import annotations

from typing import Any

_GOOD, _BAD = {"text": "The plot drags, but the cast is wonderful."}, {"text": "Never again."}


def _examples(**told: tuple[str, Any]) -> dict[str, Any]:
    return {name: {"summary": summary, "value": value} for name, (summary, value) in told.items()}


PREDICT = _examples(
    one=("One input", {"model": "sentiment", "inputs": _GOOD}),
    explained=("With the scores of all labels", {"model": "sentiment", "inputs": _GOOD, "options": {"explain": True}}),
    ticket=("A ticket, and the answer later", {"model": "sentiment", "inputs": _GOOD, "options": {"async": True}}),
)
EXPLAIN = _examples(
    best=("The best that the model offers", {"model": "sentiment", "inputs": _GOOD}),
    ticket=("A ticket, and the answer later", {"model": "sentiment", "inputs": _GOOD, "options": {"async": True}}),
)
BATCH = _examples(
    several=("Several inputs", {"model": "sentiment", "inputs": [_GOOD, _BAD]}),
    forgiving=(
        "A bad input spoils only its own answer",
        {"model": "sentiment", "inputs": [_GOOD, {"text": ""}], "options": {"return_errors": "individual"}},
    ),
)
NEW_JOB = _examples(
    one=("One input", {"model": "sentiment", "inputs": _GOOD}),
    several=("Several inputs", {"model": "sentiment", "inputs": [_GOOD, _BAD], "metadata": {"order": 42}}),
    upload=(
        "A file that you have uploaded",
        {"model": "sentiment", "upload_id": "upl_01a213d5f4b37c4b96a585d42ec9f663"},
    ),
    url=(
        "A file in a bucket of yours, by its signed URL",
        {"model": "sentiment", "input_url": "https://s3.eu-west-1.amazonaws.com/inbox/rows.jsonl?X-Amz-Signature=0123"},
    ),
    called=(
        "Be called when it ends",
        {
            "model": "sentiment",
            "inputs": _GOOD,
            "webhook_url": "https://example.com/hook",
            "webhook_events": ["job.completed", "job.failed"],
        },
    ),
)
NEW_UPLOAD = _examples(
    rows=("Rows", {"filename": "rows.jsonl", "content_type": "application/x-ndjson", "size": 77}),
    bundle=(
        "A model's bundle, by a key that may publish models",
        {"filename": "churn.tar", "content_type": "application/x-tar", "size": 30_720},
    ),
    recording=("A recording", {"filename": "talk.flac", "content_type": "audio/flac", "size": 1_048_576}),
)
NEW_VERSION = _examples(
    one=(
        "A bundle that you have uploaded",
        {"model": "churn", "version": "1.0.0", "upload_id": "upl_01a213d5f4b37c4b96a585d42ec9f663"},
    ),
)
FEEDBACK = _examples(
    label=("Of a model that gives a label", {"truth": "negative"}),
    number=("Of one that gives a number", {"truth": 21.5}),
)
NEW_ENDPOINT = _examples(
    ends=("Jobs that ended", {"url": "https://example.com/hook", "events": ["job.completed", "job.failed"]}),
    asymmetric=(
        "Signed so that receivers need no secret",
        {"url": "https://example.com/hook", "events": ["job.completed"], "signing": "v1a"},
    ),
)
CHANGED_ENDPOINT = _examples(
    off=("Switch it off", {"enabled": False}),
    events=("Be called for something else", {"events": ["job.completed"]}),
)
NEW_KEY = _examples(
    client=("What a client needs", {"name": "web"}),
    narrow=(
        "For one model, from one network, for a month",
        {
            "name": "kiosk",
            "scopes": ["predict"],
            "models": ["sentiment"],
            "networks": ["192.0.2.0/24"],
            "expires_in_s": 2_592_000,
        },
    ),
)
NEW_TENANT = _examples(one=("A customer", {"name": "acme", "tier": "pro"}))
CHANGED_TENANT = _examples(one=("Another tier", {"tier": "free"}))
NEW_TIER = _examples(one=("A small one", {"name": "trial", "like": "free", "monthly_units": 10_000}))
CHANGED_TIER = _examples(one=("More at once", {"requests_burst": 500, "max_running": 20}))
CHANGED_ROUTES = _examples(
    canary=(
        "A canary that grows",
        {
            "canaries": [
                {
                    "name": "next",
                    "version": "2.1.0",
                    "percent": 5,
                    "ramp": {"to": [25, 50], "requests": 1000, "then": "promote"},
                }
            ]
        },
    ),
    promoted=("Promoted", {"stable": "2.1.0", "canaries": []}),
)
NEW_ISSUED_KEY = _examples(
    client=("What a client needs", {"tenant": "acme", "name": "web"}),
    publisher=(
        "For a pipeline",
        {"tenant": "acme", "name": "ci", "scopes": ["files", "jobs", "models:read", "models:write"]},
    ),
)
NEW_ADJUSTMENT = _examples(
    given=("Given", {"tenant": "acme", "units": 5000, "reason": "Made good for the outage"}),
    taken=("Taken back", {"tenant": "acme", "units": -5000, "reason": "Given twice"}),
)
ROTATED_KEY = _examples(day=("The old key is good for a day", {"overlap_s": 86_400}))
ROTATION = _examples(day=("The old key is good for a day", {"overlap_s": 86_400}))
WINDOW = _examples(
    failed=("What failed", {"since": "2026-11-24T00:00:00Z"}),
    all=("Everything of an hour", {"since": "2026-11-24T10:00:00Z", "until": "2026-11-24T11:00:00Z", "status": "all"}),
)
