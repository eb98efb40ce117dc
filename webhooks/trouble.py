"""Why a call got no answer, or was not made at all: words that stay the same."""

from __future__ import annotations

import enum

from core import errors


class Trouble(enum.StrEnum):
    """What `last_error` of a delivery and `error` of an attempt may say."""

    NAME_NOT_FOUND = "NAME_NOT_FOUND"  #: the host's name leads nowhere
    CONNECTION_FAILED = "CONNECTION_FAILED"
    TLS_ERROR = "TLS_ERROR"
    TIMED_OUT = "TIMED_OUT"
    BAD_ANSWER = "BAD_ANSWER"  #: it is not HTTP
    ADDRESS_REFUSED = errors.AddressRefused.code
    SECRET_LOST = errors.SecretLost.code
    ENDPOINT_DISABLED = "ENDPOINT_DISABLED"
    ENDPOINT_DELETED = "ENDPOINT_DELETED"
    NEVER_REACHED = "NEVER_REACHED"  #: held back behind others for as long as it would have been tried
    WORKER_LOST = "WORKER_LOST"  #: it may have been called
    INTERNAL = errors.CoatcheckError.code
