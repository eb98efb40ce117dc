"""Webhooks: what comes in, what goes out, and what receivers are sent."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from api.v1.schemas.errors import Fault
from api.v1.schemas.fields import (
    Body,
    Events,
    Moment,
    QueryInteger,
    StrictBoolean,
    StrictInteger,
    StrictSchema,
    StrictString,
    Whole,
)
from jobs.job import Status
from webhooks.events import FOR_ENDPOINTS, Event
from webhooks.receivers import MAX_URL
from webhooks.signing import Signing
from webhooks.switching import Reason
from webhooks.trouble import Trouble

MAX_OVERLAP_S = 7 * 86_400
STATUSES = ["pending", "sending", "delivered", "failed"]
_URL = {"description": "https, port 443, at a public address, unless the operator lists its host."}
_EVENTS = {"description": "What it is called for."}
_DESCRIPTION = Whole(r"[^\x00-\x1f\x7f]{0,255}", error="must be at most 255 characters that can be seen")
_FOR_PEOPLE = {"description": "A name for people."}
_SIGNING = "v1: HMAC-SHA256 under a secret; v1a: ed25519, checked with a public key."


class NewEndpoint(Body):
    """Where to call, and for what."""

    url = StrictString(required=True, validate=validate.Length(1, MAX_URL), metadata=_URL)
    events = Events(FOR_ENDPOINTS, required=True, metadata=_EVENTS)
    description = StrictString(load_default="", validate=_DESCRIPTION, metadata=_FOR_PEOPLE)
    signing = StrictString(
        load_default=Signing.V1,
        validate=validate.OneOf(list(Signing)),
        metadata={"description": _SIGNING},
    )

    @post_load
    def _by_name(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        return {**data, "signing": Signing(data["signing"])}


class ChangedEndpoint(Body):
    """What is to be otherwise; the rest stays as it is."""

    url = StrictString(validate=validate.Length(1, MAX_URL), metadata=_URL)
    events = Events(FOR_ENDPOINTS, metadata=_EVENTS)
    description = StrictString(validate=_DESCRIPTION, metadata=_FOR_PEOPLE)
    enabled = StrictBoolean(metadata={"description": "Whether it is called."})


class Rotation(Body):
    """A new key, beside which the old one is good for a while."""

    overlap_s = StrictInteger(
        load_default=86_400,
        validate=validate.Range(0, MAX_OVERLAP_S),
        metadata={"description": "How many seconds the old key signs as well."},
    )


class Window(Body):
    """A window of time, and what of it to send again."""

    since = Moment(required=True, metadata={"description": "From this moment on."})
    until = Moment(metadata={"description": "Before this moment; without it, now."})
    status = StrictString(
        load_default="failed",
        validate=validate.OneOf(["failed", "all"]),
        metadata={"description": "What failed, or what was delivered as well."},
    )
    after = StrictString(
        validate=Whole(r"[0-9]{1,18}", error="is not the next_after of an earlier answer"),
        metadata={"description": "The `next_after` of the answer before."},
    )

    @validates_schema
    def _in_order(self, data: dict[str, object], **_: object) -> None:
        if "until" in data and data["until"] <= data["since"]:  # type: ignore[operator]
            raise ValidationError({"until": ["must be later than since"]})


class DeliveriesQuery(StrictSchema):
    status = fields.String(validate=validate.OneOf(STATUSES), metadata={"description": "Only those."})
    event = fields.String(validate=validate.OneOf(list(Event)), metadata={"description": "Only those of this event."})
    limit = QueryInteger(
        load_default=20, validate=validate.Range(1, 100), metadata={"description": "How many at a time."}
    )
    before = fields.String(
        validate=Whole(r"[0-9]{1,18}", error="is not the next_before of an earlier page"),
        metadata={"description": "The `next_before` of the page before."},
    )


class AllDeliveriesQuery(DeliveriesQuery):
    job_id = fields.String(validate=validate.Length(1, 64), metadata={"description": "Only those about this job."})


class Endpoint(Schema):
    """Who is called."""

    id = fields.String(required=True, metadata={"description": "`ep_…`"})
    url = fields.String(required=True, metadata={"description": "Where it is called"})
    events = fields.List(
        fields.String(validate=validate.OneOf(FOR_ENDPOINTS)),
        required=True,
        metadata={"description": "What it is called for"},
    )
    description = fields.String(required=True, metadata={"description": "A name for people"})
    signing = fields.String(validate=validate.OneOf(list(Signing)), required=True, metadata={"description": _SIGNING})
    enabled = fields.Boolean(required=True, metadata={"description": "Whether it is called"})
    disabled_code = fields.String(
        validate=validate.OneOf(list(Reason)),
        allow_none=True,
        required=True,
        metadata={"description": "Why it is off: by you, it answered 410, or it has failed for days"},
    )
    disabled_at = fields.AwareDateTime(allow_none=True, required=True, metadata={"description": "Since when it is off"})
    failures = fields.Integer(required=True, metadata={"description": "Calls in a row that failed"})
    failing_since = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "Since when its calls fail; null if the last did not"}
    )
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When it was registered"})


_SECRET = {"description": "Of v1: what both sides sign with, `whsec_…`"}
_PUBLIC = {"description": "Of v1a: what signatures are checked with, `whpk_…`"}


class RetiringKey(Schema):
    """A key that is replaced, and signs for a while yet."""

    secret = fields.String(metadata=_SECRET)
    public_key = fields.String(metadata=_PUBLIC)
    retires_at = fields.AwareDateTime(required=True, metadata={"description": "Until when it signs"})


class Keys(Schema):
    """What calls are signed with."""

    secret = fields.String(metadata=_SECRET)
    public_key = fields.String(metadata=_PUBLIC)
    previous = fields.List(
        fields.Nested(RetiringKey), required=True, metadata={"description": "Keys that sign for a while yet"}
    )


class CreatedEndpoint(Endpoint):
    """Who is called, and what the calls are signed with."""

    secret = fields.String(metadata=_SECRET)
    public_key = fields.String(metadata=_PUBLIC)


class Endpoints(Schema):
    """All endpoints of a tenant."""

    webhooks = fields.List(fields.Nested(Endpoint), required=True, metadata={"description": "Oldest first"})


class PublicKey(Schema):
    """A JSON Web Key (RFC 7517, RFC 8037)."""

    kty = fields.String(required=True, validate=validate.OneOf(["OKP"]), metadata={"description": "The family"})
    crv = fields.String(required=True, validate=validate.OneOf(["Ed25519"]), metadata={"description": "The curve"})
    use = fields.String(required=True, validate=validate.OneOf(["sig"]), metadata={"description": "For signatures"})
    x = fields.String(required=True, metadata={"description": "The key, in base64url"})


class PublicKeys(Schema):
    """A JSON Web Key Set."""

    keys = fields.List(fields.Nested(PublicKey), required=True, metadata={"description": "Any of them may have signed"})


_TROUBLE = validate.OneOf(list(Trouble))
_WHY = {"description": "Why there was none. There may be more of these one day: know others by their presence"}


class Delivery(Schema):
    """One event for one receiver."""

    id = fields.String(required=True, metadata={"description": "The receiver's `webhook-id`"})
    sequence = fields.Integer(required=True, metadata={"description": "Of two the older one has the smaller"})
    event = fields.String(
        validate=validate.OneOf(list(Event)), required=True, metadata={"description": "What happened"}
    )
    endpoint_id = fields.String(
        allow_none=True, required=True, metadata={"description": "Null for a job's own `webhook_url`"}
    )
    url = fields.String(allow_none=True, required=True, metadata={"description": "A job's own `webhook_url`, or null"})
    job_id = fields.String(
        allow_none=True, required=True, metadata={"description": "The job that it is about, or null"}
    )
    status = fields.String(
        required=True, validate=validate.OneOf(STATUSES), metadata={"description": "Where it stands"}
    )
    attempt = fields.Integer(required=True, metadata={"description": "Calls so far"})
    next_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "While it is pending: when it is tried next"}
    )
    last_status = fields.Integer(
        allow_none=True, required=True, metadata={"description": "The HTTP status of the last answer, if there was one"}
    )
    last_error = fields.String(allow_none=True, required=True, validate=_TROUBLE, metadata=_WHY)
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When it happened"})
    finished_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "When it was delivered or given up"}
    )


class Attempt(Schema):
    """One call."""

    attempt = fields.Integer(required=True, metadata={"description": "Its number, from 1"})
    at = fields.AwareDateTime(required=True, metadata={"description": "When it was made"})
    ms = fields.Integer(allow_none=True, required=True, metadata={"description": "How long it took, in milliseconds"})
    status = fields.Integer(
        allow_none=True, required=True, metadata={"description": "The HTTP status of the answer, if there was one"}
    )
    error = fields.String(allow_none=True, required=True, validate=_TROUBLE, metadata=_WHY)
    response = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "The beginning of the answer, if its address is public"},
    )


class DeliveryInFull(Delivery):
    """One event for one receiver, with all that was said."""

    body = fields.String(required=True, metadata={"description": "The very text that is sent"})
    attempts = fields.List(fields.Nested(Attempt), required=True, metadata={"description": "Every call, oldest first"})


class Deliveries(Schema):
    """One page of the log."""

    deliveries = fields.List(fields.Nested(Delivery), required=True, metadata={"description": "Newest first"})
    next_before = fields.String(
        allow_none=True, required=True, metadata={"description": "Ask again with it as `before`; null on the last page"}
    )


class Redelivered(Schema):
    """What is sent again."""

    count = fields.Integer(required=True, metadata={"description": "How many"})
    next_after = fields.String(
        allow_none=True, required=True, metadata={"description": "Ask again with it as `after`; null: that was all"}
    )


class JobData(Schema):
    """What a receiver is told of a job."""

    job_id = fields.String(required=True, metadata={"description": "`job_…`"})
    sequence = fields.Integer(required=True, metadata={"description": "Of two events the older one has the smaller"})
    status = fields.String(
        validate=validate.OneOf(list(Status)), required=True, metadata={"description": "Where it stands"}
    )
    progress = fields.Integer(required=True, validate=validate.Range(0, 100), metadata={"description": "From 0 to 100"})
    model = fields.String(required=True, metadata={"description": "The model that answers"})
    model_version = fields.String(required=True, metadata={"description": "The version that answers"})
    attempt = fields.Integer(required=True, metadata={"description": "How often a worker has taken it"})
    metadata = fields.Dict(required=True, metadata={"description": "As it was handed in"})
    created_at = fields.AwareDateTime(required=True, metadata={"description": "When it was accepted"})
    started_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "When its first attempt began"}
    )
    finished_at = fields.AwareDateTime(allow_none=True, required=True, metadata={"description": "When it ended"})
    error = fields.Nested(
        Fault, allow_none=True, required=True, metadata={"description": "Why it ended without a result"}
    )
    result = fields.Dict(
        allow_none=True, required=True, metadata={"description": "As the API shows it, up to 8 kB; else null: ask"}
    )


class EndpointData(Schema):
    """What a receiver is told of an endpoint."""

    endpoint_id = fields.String(required=True, metadata={"description": "`ep_…`"})
    url = fields.String(metadata={"description": "Of one that was switched off: where it was called"})
    reason = fields.String(validate=validate.OneOf(list(Reason)), metadata={"description": "Why it was switched off"})
    message = fields.String(metadata={"description": "Of a test: a sentence"})
