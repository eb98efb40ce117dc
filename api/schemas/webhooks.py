"""Webhooks: what comes in, what goes out, and what receivers are sent."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.schemas.fields import Events, QueryInteger, StrictBoolean, StrictInteger, StrictSchema, StrictString
from jobs.job import Status
from webhooks.events import FOR_ENDPOINTS, Event
from webhooks.receivers import MAX_URL
from webhooks.signing import Signing

MAX_OVERLAP_S = 7 * 86_400
_URL = {"description": "https, port 443, at a public address, unless the operator lists its host."}
_DESCRIPTION = validate.Regexp(r"[^\x00-\x1f\x7f]{0,255}\Z", error="must be at most 255 characters that can be seen")


class NewEndpoint(StrictSchema):
    url = StrictString(required=True, validate=validate.Length(1, MAX_URL), metadata=_URL)
    events = Events(FOR_ENDPOINTS, required=True)
    description = StrictString(load_default="", validate=_DESCRIPTION)
    signing = StrictString(
        load_default=Signing.V1,
        validate=validate.OneOf(list(Signing)),
        metadata={"description": "v1: HMAC-SHA256 under a secret; v1a: ed25519, checked with a public key."},
    )


class ChangedEndpoint(StrictSchema):
    url = StrictString(validate=validate.Length(1, MAX_URL), metadata=_URL)
    events = Events(FOR_ENDPOINTS)
    description = StrictString(validate=_DESCRIPTION)
    enabled = StrictBoolean()


class Rotation(StrictSchema):
    overlap_s = StrictInteger(
        load_default=86_400,
        validate=validate.Range(0, MAX_OVERLAP_S),
        metadata={"description": "How long the old key signs as well."},
    )


class Window(StrictSchema):
    since = fields.AwareDateTime(format="iso", required=True)
    until = fields.AwareDateTime(format="iso", metadata={"description": "Without it, now."})
    status = StrictString(
        load_default="failed",
        validate=validate.OneOf(["failed", "all"]),
        metadata={"description": "What failed, or what was delivered as well."},
    )

    after = StrictString(
        validate=validate.Regexp(r"[0-9]{1,18}\Z", error="is not the next_after of an earlier answer"),
        metadata={"description": "The `next_after` of the answer before."},
    )

    @validates_schema
    def _in_order(self, data: dict[str, object], **_: object) -> None:
        if "until" in data and data["until"] <= data["since"]:  # type: ignore[operator]
            raise ValidationError({"until": ["must be later than since"]})


class DeliveriesQuery(StrictSchema):
    status = fields.String(validate=validate.OneOf(["pending", "sending", "delivered", "failed"]))
    event = fields.String(validate=validate.OneOf(list(Event)))
    limit = QueryInteger(load_default=20, validate=validate.Range(1, 100))
    before = fields.String(
        validate=validate.Regexp(r"[0-9]{1,18}\Z", error="is not the next_before of an earlier page"),
        metadata={"description": "The `next_before` of the page before."},
    )


class AllDeliveriesQuery(DeliveriesQuery):
    job_id = fields.String(validate=validate.Length(1, 64))


class Endpoint(Schema):
    id = fields.String(required=True)
    url = fields.String(required=True)
    events = fields.List(fields.String(), required=True)
    description = fields.String(required=True)
    signing = fields.String(required=True)
    enabled = fields.Boolean(required=True)
    disabled_code = fields.String(allow_none=True, required=True)
    disabled_at = fields.AwareDateTime(allow_none=True, required=True)
    failures = fields.Integer(required=True)
    failing_since = fields.AwareDateTime(allow_none=True, required=True)
    created_at = fields.AwareDateTime(required=True)


class RetiringKey(Schema):
    secret = fields.String()
    public_key = fields.String()
    retires_at = fields.AwareDateTime(required=True)


class Keys(Schema):
    secret = fields.String(metadata={"description": "Of v1."})
    public_key = fields.String(metadata={"description": "Of v1a."})
    previous = fields.List(fields.Nested(RetiringKey), required=True)


class CreatedEndpoint(Endpoint):
    secret = fields.String(metadata={"description": "Of v1."})
    public_key = fields.String(metadata={"description": "Of v1a."})


class Endpoints(Schema):
    webhooks = fields.List(fields.Nested(Endpoint), required=True)


class PublicKey(Schema):
    kty = fields.String(required=True)
    crv = fields.String(required=True)
    use = fields.String(required=True)
    x = fields.String(required=True)


class PublicKeys(Schema):
    keys = fields.List(fields.Nested(PublicKey), required=True)


class Delivery(Schema):
    id = fields.String(required=True, metadata={"description": "The receiver's `webhook-id`."})
    sequence = fields.Integer(required=True)
    event = fields.String(required=True)
    endpoint_id = fields.String(allow_none=True, required=True)
    url = fields.String(allow_none=True, required=True, metadata={"description": "Of a job's own webhook_url."})
    job_id = fields.String(allow_none=True, required=True)
    status = fields.String(required=True)
    attempt = fields.Integer(required=True, metadata={"description": "Calls so far."})
    next_at = fields.AwareDateTime(allow_none=True, required=True)
    last_status = fields.Integer(allow_none=True, required=True)
    last_error = fields.String(allow_none=True, required=True)
    created_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(allow_none=True, required=True)


class Attempt(Schema):
    attempt = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    ms = fields.Integer(allow_none=True, required=True)
    status = fields.Integer(allow_none=True, required=True)
    error = fields.String(allow_none=True, required=True)
    response = fields.String(allow_none=True, required=True)


class DeliveryInFull(Delivery):
    body = fields.String(required=True, metadata={"description": "The very text that is sent."})
    attempts = fields.List(fields.Nested(Attempt), required=True)


class Deliveries(Schema):
    deliveries = fields.List(fields.Nested(Delivery), required=True)
    next_before = fields.String(allow_none=True, required=True)


class Redelivered(Schema):
    count = fields.Integer(required=True)
    next_after = fields.String(allow_none=True, required=True)


class JobData(Schema):
    """What a receiver is told of a job."""

    job_id = fields.String(required=True)
    sequence = fields.Integer(required=True, metadata={"description": "Of two events the older one has the smaller."})
    status = fields.Enum(Status, by_value=True, required=True)
    progress = fields.Integer(required=True)
    model = fields.String(required=True)
    model_version = fields.String(required=True)
    attempt = fields.Integer(required=True)
    metadata = fields.Dict(required=True)
    created_at = fields.AwareDateTime(required=True)
    started_at = fields.AwareDateTime(allow_none=True, required=True)
    finished_at = fields.AwareDateTime(allow_none=True, required=True)
    error = fields.Dict(allow_none=True, required=True)
    result = fields.Dict(
        allow_none=True, required=True, metadata={"description": "As the API shows it, up to 8 kB; else null: ask."}
    )


class EndpointData(Schema):
    endpoint_id = fields.String(required=True)
    url = fields.String()
    reason = fields.String()
    message = fields.String()
