"""Everything that can go wrong, in one tree.

CoatcheckError
├── InvalidInput            the request's content breaks a rule; names the field and the limit
│   ├── MalformedRequest    the body cannot be read at all
│   └── BatchTooLarge       more items than one call may carry
├── Unauthorized            no key, or one that opens nothing
├── Forbidden               a key without the scope
├── NotFound
│   ├── JobNotFound
│   ├── UploadNotFound      no such upload, or not of this tenant
│   ├── WebhookNotFound     no such endpoint, or not of this tenant
│   ├── DeliveryNotFound    no such delivery, or not of this tenant
│   ├── ModelNotFound
│   └── VersionNotFound
├── AddressRefused          a receiver is at an address that may not be called
├── WebhookConflict         the endpoint's or the delivery's state does not allow this
├── JobStateConflict        the job is past the point where this is possible
├── BundleInvalid           a model bundle that must not be served
├── ModelError              the model failed on this input
│   └── ModelInterrupted    the run was ended from outside
├── TimedOut                the run took longer than the job allows
├── JobFailed               the job ended without a result, for no fault of its input
├── SecretLost              sealed under another COATCHECK_SECRET_KEY
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
├── ModelUnavailable        the model cannot be fetched or opened now       (retryable)
├── Unavailable             an engine does not answer                       (retryable)
│   └── Busy                every waiting place is taken                    (retryable)
└── SettingsInvalid         a setting that stops the start

HTTP status codes are decided in `api.errors` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class CoatcheckError(Exception):
    """Something went wrong."""

    code = "INTERNAL"
    retryable = False

    def __init__(self, message: str = "", *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.details = dict(details or {})

    @property
    def message(self) -> str:
        return str(self.args[0])


class InvalidInput(CoatcheckError):
    """Input validation failed"""

    code = "INVALID_INPUT"

    def __init__(
        self, message: str = "", *, errors: Sequence[Mapping[str, Any]] = (), details: Mapping[str, Any] | None = None
    ) -> None:
        self.errors = [dict(error) for error in errors]
        super().__init__(message, details=details or (self.errors[0] if self.errors else None))

    @classmethod
    def field(cls, name: str, issue: str, **facts: Any) -> InvalidInput:
        """One fault in one field."""
        return cls(errors=[{"field": name, "issue": issue, **facts}])

    def under(self, prefix: str) -> InvalidInput:
        """The same faults, seen from one level further out."""
        return type(self)(self.message, errors=[{**e, "field": f"{prefix}.{e['field']}"} for e in self.errors])


class MalformedRequest(InvalidInput):
    """The request body cannot be read"""

    code = "MALFORMED_REQUEST"


class BatchTooLarge(InvalidInput):
    """The batch has more items than one call may carry"""

    code = "BATCH_TOO_LARGE"


class Unauthorized(CoatcheckError):
    """A valid API key is required"""

    code = "UNAUTHORIZED"


class Forbidden(CoatcheckError):
    """This API key does not have the scope for that"""

    code = "FORBIDDEN"


class NotFound(CoatcheckError):
    """There is nothing here"""

    code = "NOT_FOUND"


class JobNotFound(NotFound):
    """No such job"""

    code = "JOB_NOT_FOUND"


class ModelNotFound(NotFound):
    """No such model"""

    code = "MODEL_NOT_FOUND"


class VersionNotFound(NotFound):
    """No such version of this model"""

    code = "MODEL_VERSION_NOT_FOUND"


class JobStateConflict(CoatcheckError):
    """The job's state does not allow this"""

    code = "JOB_STATE_CONFLICT"


class BundleInvalid(CoatcheckError):
    """The model bundle is not valid"""

    code = "BUNDLE_INVALID"


class ModelError(CoatcheckError):
    """The model failed on this input"""

    code = "MODEL_ERROR"


class ModelInterrupted(ModelError):
    """The run was ended early"""


class TimedOut(CoatcheckError):
    """The run took longer than timeout_s"""

    code = "TIMED_OUT"


class JobFailed(CoatcheckError):
    """The job ended without a result"""

    code = "JOB_FAILED"


class UploadNotFound(NotFound):
    """No such upload"""

    code = "UPLOAD_NOT_FOUND"


class WebhookNotFound(NotFound):
    """No such webhook endpoint"""

    code = "WEBHOOK_NOT_FOUND"


class DeliveryNotFound(NotFound):
    """No such webhook delivery"""

    code = "DELIVERY_NOT_FOUND"


class AddressRefused(CoatcheckError):
    """The receiver's address is not one that may be called"""

    code = "ADDRESS_REFUSED"


class WebhookConflict(CoatcheckError):
    """The state of the webhook does not allow this"""

    code = "WEBHOOK_STATE_CONFLICT"


class SecretLost(CoatcheckError):
    """COATCHECK_SECRET_KEY is not the one that this was stored under"""

    code = "SECRET_LOST"


class InputExpired(CoatcheckError):
    """The signed URL has expired"""

    code = "INPUT_EXPIRED"


class InputNotFound(CoatcheckError):
    """There is no file at the URL"""

    code = "INPUT_NOT_FOUND"


class InputForbidden(CoatcheckError):
    """The URL does not give the file"""

    code = "INPUT_FORBIDDEN"


class InputUnavailable(CoatcheckError):
    """The store of the file does not answer"""

    code = "INPUT_UNAVAILABLE"
    retryable = True


class OutputRefused(CoatcheckError):
    """The URL does not take the file"""

    code = "OUTPUT_REFUSED"


class OutputUnavailable(CoatcheckError):
    """The store of the output does not answer"""

    code = "OUTPUT_UNAVAILABLE"
    retryable = True


class InputChanged(CoatcheckError):
    """The file is not the one that was accepted"""

    code = "INPUT_CHANGED"


class InputUnreadable(CoatcheckError):
    """The file cannot be read"""

    code = "INPUT_UNREADABLE"


class InputTooLarge(CoatcheckError):
    """The file is too large"""

    code = "INPUT_TOO_LARGE"


class IdempotencyMismatch(CoatcheckError):
    """This Idempotency-Key was used for a different request"""

    code = "IDEMPOTENCY_KEY_REUSED"


class IdempotencyInProgress(CoatcheckError):
    """The first request with this Idempotency-Key has not ended yet"""

    code = "IDEMPOTENCY_IN_PROGRESS"
    retryable = True


class BacklogFull(CoatcheckError):
    """Too many jobs are waiting already"""

    code = "BACKLOG_FULL"
    retryable = True


class ModelUnavailable(CoatcheckError):
    """The model cannot be loaded at the moment"""

    code = "MODEL_UNAVAILABLE"
    retryable = True


class Unavailable(CoatcheckError):
    """The service cannot answer at the moment; try again"""

    code = "UNAVAILABLE"
    retryable = True


class Busy(Unavailable):
    """Too many requests are waiting; try again"""

    code = "BUSY"


class SettingsInvalid(CoatcheckError):
    """A setting is missing or wrong"""

    code = "SETTINGS_INVALID"
