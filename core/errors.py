"""Everything that can go wrong, in one tree.

CoatcheckError
├── InvalidInput            the request's content breaks a rule; names the field and the limit
│   ├── MalformedRequest    the body cannot be read at all
│   └── BatchTooLarge       more items than one call may carry
├── Unauthorized            no key, or one that opens nothing
├── Forbidden               a key that may not do this: its scopes, models or networks
├── NotFound
│   ├── JobNotFound
│   ├── UploadNotFound      no such upload, or not of this tenant
│   ├── WebhookNotFound     no such endpoint, or not of this tenant
│   ├── DeliveryNotFound    no such delivery, or not of this tenant
│   ├── BlockNotFound       nobody of that name is held back
│   ├── KeyNotFound         no such API key, or not of this tenant
│   ├── TenantNotFound      no tenant of this name
│   ├── TierNotFound        no tier of this name
│   ├── ModelNotFound
│   └── VersionNotFound
│       └── VersionRetired  it was there, and was removed
├── AddressRefused          a receiver is at an address that may not be called
├── TenantConflict          the tenant or tier is there already, or is another than was said
├── VersionConflict         the model version may not end while it is the stable one
├── WebhookConflict         the endpoint's or the delivery's state does not allow this
├── KeyConflict             the API key's state, or how many there are, does not allow this
├── JobStateConflict        the job is past the point where this is possible
├── BundleInvalid           a model bundle that must not be served
├── ModelError              the model failed on this input
│   ├── ModelInterrupted    the run was ended from outside
│   ├── InputRefused        a class in Python does not take it, and says why
│   └── OutOfMemory         the model asked for more than there was            (retryable)
├── TimedOut                the run took longer than it may
├── ToleranceNotMet         reasons are not known as exactly as they must be
├── JobFailed               the job ended without a result, for no fault of its input
├── SecretLost              sealed under a key that is not here, or for another place
├── InputExpired            the signed URL does not hold (long enough) any more
├── InputNotFound           nothing at the signed URL
├── InputForbidden          the signed URL gives nothing to us
├── InputUnavailable        the signed URL's store does not answer            (retryable)
├── OutputRefused           the signed URL does not take the output
├── OutputUnavailable       its store does not answer                         (retryable)
├── InputChanged            the file is not the one that was accepted
├── InputUnreadable         the file is not what it says
├── InputTooLarge           the file, or one of its rows, is larger than allowed
├── IdempotencyMismatch     the key was used for something else
├── IdempotencyInProgress   the key's first request has not ended yet       (retryable)
├── BacklogFull             the tenant has too many jobs waiting            (retryable)
├── RateLimited             the caller's rate is used up for the moment     (retryable)
│   └── Blocked             the caller is held back for what it did         (retryable)
├── RequestTooCostly        one request costs more than its limit ever holds
├── QuotaExceeded           the month's units are used up
├── UploadQuota             the tenant has too many places, or bytes in them (retryable)
├── ModelUnavailable        the model cannot be fetched or opened now       (retryable)
├── Unavailable             an engine does not answer                       (retryable)
│   └── Busy                every place for this is taken                   (retryable)
│       └── TooManyRequests the tenant has too many requests in flight      (retryable)
└── SettingsInvalid         a setting that stops the start

HTTP status codes are decided in `api.errors` alone.
"""

from __future__ import annotations

from core.error import MAX_FACT, MAX_FAULTS, MAX_MESSAGE, MAX_NAME, CoatcheckError, InvalidInput, body, tree

__all__ = [
    "MAX_FACT",
    "MAX_FAULTS",
    "MAX_MESSAGE",
    "MAX_NAME",
    "CoatcheckError",
    "InvalidInput",
    "body",
    "tree",
]


class MalformedRequest(InvalidInput, code="MALFORMED_REQUEST"):
    """The request body cannot be read"""


class BatchTooLarge(InvalidInput, code="BATCH_TOO_LARGE"):
    """The batch has more items than one call may carry"""


class Unauthorized(CoatcheckError, code="UNAUTHORIZED"):
    """A valid API key is required"""


class Forbidden(CoatcheckError, code="FORBIDDEN"):
    """This API key does not have the scope for that"""


class NotFound(CoatcheckError, code="NOT_FOUND"):
    """There is nothing here"""


class JobNotFound(NotFound, code="JOB_NOT_FOUND"):
    """No such job"""


class ModelNotFound(NotFound, code="MODEL_NOT_FOUND"):
    """No such model"""


class VersionNotFound(NotFound, code="MODEL_VERSION_NOT_FOUND"):
    """No such version of this model"""


class VersionRetired(VersionNotFound, code="MODEL_VERSION_RETIRED"):
    """This version of the model was removed"""


class JobStateConflict(CoatcheckError, code="JOB_STATE_CONFLICT"):
    """The job's state does not allow this"""


class BundleInvalid(CoatcheckError, code="BUNDLE_INVALID"):
    """The model bundle is not valid"""


class ModelError(CoatcheckError, code="MODEL_ERROR"):
    """The model failed on this input"""


class ModelInterrupted(ModelError):
    """The run was ended early"""


class InputRefused(ModelError, code="INPUT_REFUSED"):
    """The model does not take this input"""


class OutOfMemory(ModelError, retryable=True):
    """There was not enough memory for this input"""


class TimedOut(CoatcheckError, code="TIMED_OUT"):
    """The run took longer than it may"""


class ToleranceNotMet(CoatcheckError, code="TOLERANCE_NOT_MET"):
    """The reasons are not known within the tolerance"""


class JobFailed(CoatcheckError, code="JOB_FAILED"):
    """The job ended without a result"""


class UploadNotFound(NotFound, code="UPLOAD_NOT_FOUND"):
    """No such upload"""


class WebhookNotFound(NotFound, code="WEBHOOK_NOT_FOUND"):
    """No such webhook endpoint"""


class DeliveryNotFound(NotFound, code="DELIVERY_NOT_FOUND"):
    """No such webhook delivery"""


class KeyNotFound(NotFound, code="KEY_NOT_FOUND"):
    """No such API key"""


class TenantNotFound(NotFound, code="TENANT_NOT_FOUND"):
    """No such tenant"""


class TierNotFound(NotFound, code="TIER_NOT_FOUND"):
    """No such tier"""


class BlockNotFound(NotFound, code="BLOCK_NOT_FOUND"):
    """Nobody of that name is held back"""


class AddressRefused(CoatcheckError, code="ADDRESS_REFUSED"):
    """The receiver's address is not one that may be called"""


class TenantConflict(CoatcheckError, code="TENANT_CONFLICT"):
    """What is there of this name does not allow this"""


class VersionConflict(CoatcheckError, code="MODEL_VERSION_CONFLICT"):
    """The state of the model does not allow this"""


class WebhookConflict(CoatcheckError, code="WEBHOOK_STATE_CONFLICT"):
    """The state of the webhook does not allow this"""


class KeyConflict(CoatcheckError, code="KEY_STATE_CONFLICT"):
    """The API key's state does not allow this"""


class SecretLost(CoatcheckError, code="SECRET_LOST"):
    """What was sealed does not open here: the key is another one, or it was sealed for something else"""


class InputExpired(CoatcheckError, code="INPUT_EXPIRED"):
    """The signed URL has expired"""


class InputNotFound(CoatcheckError, code="INPUT_NOT_FOUND"):
    """There is no file at the URL"""


class InputForbidden(CoatcheckError, code="INPUT_FORBIDDEN"):
    """The URL does not give the file"""


class InputUnavailable(CoatcheckError, code="INPUT_UNAVAILABLE", retryable=True):
    """The store of the file does not answer"""


class OutputRefused(CoatcheckError, code="OUTPUT_REFUSED"):
    """The URL does not take the file"""


class OutputUnavailable(CoatcheckError, code="OUTPUT_UNAVAILABLE", retryable=True):
    """The store of the output does not answer"""


class InputChanged(CoatcheckError, code="INPUT_CHANGED"):
    """The file is not the one that was accepted"""


class InputUnreadable(CoatcheckError, code="INPUT_UNREADABLE"):
    """The file cannot be read"""


class InputTooLarge(CoatcheckError, code="INPUT_TOO_LARGE"):
    """The file is too large"""


class IdempotencyMismatch(CoatcheckError, code="IDEMPOTENCY_KEY_REUSED"):
    """This Idempotency-Key was used for a different request"""


class IdempotencyInProgress(CoatcheckError, code="IDEMPOTENCY_IN_PROGRESS", retryable=True):
    """The first request with this Idempotency-Key has not ended yet"""


class BacklogFull(CoatcheckError, code="BACKLOG_FULL", retryable=True):
    """Too many jobs are waiting already"""


class RateLimited(CoatcheckError, code="RATE_LIMITED", retryable=True):
    """Too much in too short a time; `retry_after_s` says when there is room for it"""

    retry_after_s = 1.0


class Blocked(RateLimited, code="BLOCKED"):
    """Held back for repeated errors"""


class RequestTooCostly(CoatcheckError, code="REQUEST_TOO_COSTLY"):
    """The request costs more units than may ever be used at once"""


class QuotaExceeded(CoatcheckError, code="QUOTA_EXCEEDED"):
    """The units of this month are used up"""


class UploadQuota(CoatcheckError, code="UPLOAD_QUOTA", retryable=True):
    """Too many uploads are open or kept already"""


class ModelUnavailable(CoatcheckError, code="MODEL_UNAVAILABLE", retryable=True):
    """The model cannot be loaded at the moment"""


class Unavailable(CoatcheckError, code="UNAVAILABLE", retryable=True):
    """The service cannot answer at the moment; try again"""


class Busy(Unavailable, code="BUSY"):
    """Too many requests are waiting; try again. `retry_after_s` says when there may be room"""


class TooManyRequests(Busy, code="TOO_MANY_REQUESTS"):
    """Too many requests of this tenant are in flight; try again"""


class SettingsInvalid(CoatcheckError, code="SETTINGS_INVALID"):
    """A setting is missing or wrong"""
