"""From error to gRPC: the one table of status codes, and all that is said of an error."""

from __future__ import annotations

import math
from collections.abc import Mapping

import grpc

from core import errors
from serving.oip import faults

Code = grpc.StatusCode

STATUS: Mapping[type[errors.CoatcheckError], Code] = {
    errors.InvalidInput: Code.INVALID_ARGUMENT,
    errors.Unauthorized: Code.UNAUTHENTICATED,
    errors.Forbidden: Code.PERMISSION_DENIED,
    errors.NotFound: Code.NOT_FOUND,
    errors.JobStateConflict: Code.FAILED_PRECONDITION,
    errors.TenantConflict: Code.FAILED_PRECONDITION,
    errors.VersionConflict: Code.FAILED_PRECONDITION,
    errors.WebhookConflict: Code.FAILED_PRECONDITION,
    errors.KeyConflict: Code.FAILED_PRECONDITION,
    errors.IdempotencyInProgress: Code.ABORTED,
    errors.IdempotencyMismatch: Code.INVALID_ARGUMENT,
    errors.ModelError: Code.INVALID_ARGUMENT,
    errors.TimedOut: Code.DEADLINE_EXCEEDED,
    errors.ToleranceNotMet: Code.INVALID_ARGUMENT,
    errors.InputExpired: Code.INVALID_ARGUMENT,
    errors.InputNotFound: Code.INVALID_ARGUMENT,
    errors.InputForbidden: Code.INVALID_ARGUMENT,
    errors.InputChanged: Code.INVALID_ARGUMENT,
    errors.InputUnreadable: Code.INVALID_ARGUMENT,
    errors.InputTooLarge: Code.INVALID_ARGUMENT,
    errors.BacklogFull: Code.RESOURCE_EXHAUSTED,
    errors.RateLimited: Code.RESOURCE_EXHAUSTED,
    errors.QuotaExceeded: Code.RESOURCE_EXHAUSTED,
    errors.RequestTooCostly: Code.RESOURCE_EXHAUSTED,
    errors.TooManyRequests: Code.RESOURCE_EXHAUSTED,
    errors.UploadQuota: Code.RESOURCE_EXHAUSTED,
    errors.ModelUnavailable: Code.UNAVAILABLE,
    errors.InputUnavailable: Code.UNAVAILABLE,
    errors.OutputUnavailable: Code.UNAVAILABLE,
    errors.Unavailable: Code.UNAVAILABLE,
    errors.CoatcheckError: Code.INTERNAL,
}
#: What an error weighs for who makes it again and again, by its status: as over HTTP, but for REQUEST_TOO_COSTLY.
WEIGHTS: Mapping[Code, float] = {
    Code.INVALID_ARGUMENT: 1.0,
    Code.UNAUTHENTICATED: 1.0,
    Code.PERMISSION_DENIED: 1.0,
    Code.NOT_FOUND: 0.5,
    Code.RESOURCE_EXHAUSTED: 0.25,
}
#: Those that may go well later.
_LATER = (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.ABORTED)
#: Bytes of what is told of an error: a client takes 8 KiB of metadata, in which one byte may be written as three.
MOST = 1000


def status(error: errors.CoatcheckError) -> Code:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def details(error: errors.CoatcheckError) -> str:
    """What went wrong, and with which field, as a text of bounded size."""
    told = faults.text(errors.body(error)).encode()
    return told.decode() if len(told) <= MOST else f"{told[: MOST - 3].decode(errors='ignore')}…"


def retry_after_s(error: errors.CoatcheckError) -> int:
    """After how many seconds it may go well; 0 where nothing is said of that."""
    if status(error) not in _LATER or not error.retryable:
        return 0
    return math.ceil(error.retry_after_s)
