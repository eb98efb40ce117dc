"""What each kind of error is told as. Written down anew here, so that the product's own table is not its own judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core import errors


@dataclass(frozen=True)
class Told:
    """A code and its status; whether it may go well the next time; and how its words begin, if they are always so."""

    code: str
    status: int
    retryable: bool = False
    says: str = ""


TOLD: Mapping[type[errors.CoatcheckError], Told] = {
    errors.CoatcheckError: Told("INTERNAL", 500),
    errors.InvalidInput: Told("INVALID_INPUT", 422, says="Input validation failed"),
    errors.MalformedRequest: Told("MALFORMED_REQUEST", 400, says="The request body cannot be read"),
    errors.BatchTooLarge: Told("BATCH_TOO_LARGE", 413, says="The batch has more items than one call may carry"),
    errors.Unauthorized: Told("UNAUTHORIZED", 401, says="A valid API key is required"),
    errors.Forbidden: Told("FORBIDDEN", 403, says="This API key does not have the scope 'jobs'"),
    errors.NotFound: Told("NOT_FOUND", 404, says="There is no such route: "),
    errors.JobNotFound: Told("JOB_NOT_FOUND", 404, says="No such job"),
    errors.UploadNotFound: Told("UPLOAD_NOT_FOUND", 404, says="No such upload"),
    errors.WebhookNotFound: Told("WEBHOOK_NOT_FOUND", 404, says="No such webhook endpoint"),
    errors.DeliveryNotFound: Told("DELIVERY_NOT_FOUND", 404, says="No such webhook delivery"),
    errors.KeyNotFound: Told("KEY_NOT_FOUND", 404, says="No such API key"),
    errors.TenantNotFound: Told("TENANT_NOT_FOUND", 404, says="There is no tenant 'nobody'"),
    errors.TierNotFound: Told("TIER_NOT_FOUND", 404, says="There is no tier 'gold'"),
    errors.BlockNotFound: Told("BLOCK_NOT_FOUND", 404, says="Nobody of that name is held back"),
    errors.ModelNotFound: Told("MODEL_NOT_FOUND", 404, says="No such model"),
    errors.VersionNotFound: Told("MODEL_VERSION_NOT_FOUND", 404, says="No such version of this model"),
    errors.VersionRetired: Told("MODEL_VERSION_RETIRED", 410, says="This version of the model was removed"),
    errors.AddressRefused: Told("ADDRESS_REFUSED", 500),
    errors.TenantConflict: Told("TENANT_CONFLICT", 409),
    errors.VersionConflict: Told("MODEL_VERSION_CONFLICT", 409),
    errors.KeyConflict: Told("KEY_STATE_CONFLICT", 409, says="This key was rotated already"),
    errors.WebhookConflict: Told("WEBHOOK_STATE_CONFLICT", 409, says="The endpoint is switched off"),
    errors.JobStateConflict: Told("JOB_STATE_CONFLICT", 409, says="A job that is pending"),
    errors.BundleInvalid: Told("BUNDLE_INVALID", 500),
    errors.ModelError: Told("MODEL_ERROR", 422),
    errors.ModelInterrupted: Told("MODEL_ERROR", 422),
    errors.InputRefused: Told("INPUT_REFUSED", 422),
    errors.OutOfMemory: Told("MODEL_ERROR", 422, retryable=True),
    errors.TimedOut: Told("TIMED_OUT", 422),
    errors.ToleranceNotMet: Told("TOLERANCE_NOT_MET", 422),
    errors.JobFailed: Told("JOB_FAILED", 500, says="The job ended as failed: "),
    errors.SecretLost: Told("SECRET_LOST", 500, says="What was sealed does not open here"),
    errors.InputExpired: Told("INPUT_EXPIRED", 422, says="input_url "),
    errors.InputNotFound: Told("INPUT_NOT_FOUND", 422, says="There is no file at the URL"),
    errors.InputForbidden: Told("INPUT_FORBIDDEN", 422, says="input_url answers 403"),
    errors.InputUnavailable: Told("INPUT_UNAVAILABLE", 503, retryable=True, says="input_url answers 503"),
    errors.OutputRefused: Told("OUTPUT_REFUSED", 500),
    errors.OutputUnavailable: Told("OUTPUT_UNAVAILABLE", 500, retryable=True),
    errors.InputChanged: Told("INPUT_CHANGED", 422),
    errors.InputUnreadable: Told("INPUT_UNREADABLE", 422, says="The file is empty"),
    errors.InputTooLarge: Told("INPUT_TOO_LARGE", 422, says="input_url has more than 10 bytes"),
    errors.IdempotencyMismatch: Told("IDEMPOTENCY_KEY_REUSED", 422, says="This Idempotency-Key was used for a diff"),
    errors.IdempotencyInProgress: Told("IDEMPOTENCY_IN_PROGRESS", 409, retryable=True, says="The first request with"),
    errors.BacklogFull: Told("BACKLOG_FULL", 429, retryable=True),
    errors.RateLimited: Told("RATE_LIMITED", 429, retryable=True, says="More requests than your tier allows"),
    errors.Blocked: Told("BLOCKED", 429, retryable=True, says="Held back until "),
    errors.RequestTooCostly: Told("REQUEST_TOO_COSTLY", 413, says="This costs 3 units"),
    errors.QuotaExceeded: Told("QUOTA_EXCEEDED", 429, says="This costs 2 units, and "),
    errors.UploadQuota: Told("UPLOAD_QUOTA", 429, retryable=True, says="1 uploads are open"),
    errors.ModelUnavailable: Told("MODEL_UNAVAILABLE", 503, retryable=True),
    errors.Unavailable: Told("UNAVAILABLE", 503, retryable=True),
    errors.Busy: Told("BUSY", 503, retryable=True),
    errors.TooManyRequests: Told("TOO_MANY_REQUESTS", 429, retryable=True, says="Your tenant has 1 requests in flight"),
    errors.SettingsInvalid: Told("SETTINGS_INVALID", 500),
}

#: What no request is answered with, and the tests that show it.
ELSEWHERE: Mapping[type[errors.CoatcheckError], str] = {
    errors.CoatcheckError: "api/test_every_error.py",  # what nobody foresaw is told in its words, without being one
    errors.ModelInterrupted: "jobs/test_recovery.py",  # the job is canceled, timed out or given back
    errors.InputRefused: "bulk/test_python_models.py",  # of a model in Python
    errors.AddressRefused: "webhooks/test_addresses.py",
    errors.VersionConflict: "cli/test_every_result.py",
    errors.Blocked: "api/test_conduct.py",
    errors.BlockNotFound: "api/test_conduct.py",
    errors.SettingsInvalid: "core/test_every_setting.py",
    errors.OutputRefused: "bulk/test_input_url.py",
    errors.OutputUnavailable: "bulk/test_hostile_stores.py",
    errors.InputChanged: "bulk/test_life.py",
}
