"""What a single setting may be, and how it is said that it is not; used by those who declare and read them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
import sqlalchemy.exc
from marshmallow import ValidationError, validate

from core import hosts

POSITIVE = validate.Range(min=0, min_inclusive=False)
_DATABASE_URL = validate.Regexp(r"postgresql(\+psycopg)?://", error="must begin with postgresql://")
REDIS_URL = validate.Regexp(r"(rediss?|unix|redis\+socket)://", error="must begin with redis:// or rediss://")
MODEL = validate.Regexp(r"([a-z][a-z0-9_-]{0,62})?\Z", error="must be the name of a model")
ISSUER = validate.Regexp(
    r"(https?://[^\s?#]+)?\Z", error="must be a URL without ? and #, such as https://login.example/"
)
SAID = validate.Length(1, error="must not be empty")
S3_URL = validate.Regexp(r"https?://", error="must begin with https:// or http://")
_BUCKET = validate.Regexp(
    r"https?://[a-z0-9.-]+(:[0-9]{1,5})?/[a-z0-9._-]+\Z",
    error="must be addresses of buckets, such as https://host/bucket",
)
_HOST = validate.Regexp(
    r"([a-z0-9.-]+|\[[0-9a-f:.]+\]):[0-9]{1,5}\Z", error="must be hosts with their ports, such as hooks.internal:8080"
)
_PORT = validate.Regexp(
    r"[0-9]{1,5}\Z",
    error="must be the ports of your receivers on this machine, by commas, such as 9000,9100 (or unset)",
)
#: What environs says of each one that is missing.
UNSET = "Environment variable not set."
_ORIGIN = validate.Regexp(
    r"[a-z][a-z0-9+.-]*://([a-z0-9._-]{1,253}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?\Z",
    error="must be origins as browsers send them, by commas, such as https://app.example.com or http://localhost:5173: "
    "in small letters, without a path or a slash at the end; or * alone, for all",
)
#: Browsers leave out the port that goes without saying.
_UNSAID_PORTS = {"http": 80, "https": 443}
_LOWEST_PORT = 1024  #: below it are the machine's own services
#: The schedule of Standard Webhooks 1.0, in seconds.
SCHEDULE = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
_MAX_DELAY_S = 7 * 86_400
MIN_SECRET = 32  #: characters
#: What a secret must seem to hold in production. Of 20,000 times 32 random base64 characters none seemed to hold fewer
#: than 122, and on average it was 143; of 32 hex digits, 115.
MIN_SECRET_BITS = 120
_PLACEHOLDER = re.compile(r"change.?(me|this)", re.IGNORECASE)


def database_url(given: str) -> None:
    """Without quoting it, as it holds a password."""
    _DATABASE_URL(given)
    try:
        host = sqlalchemy.make_url(given).host or ""
    except (ValueError, sqlalchemy.exc.ArgumentError):
        host = "@"
    if "@" in host:
        raise ValidationError(
            "must be postgresql://user:password@host:port/name, with %40 for an @ in the password"
        ) from None


def buckets(given: list[str]) -> None:
    for item in given:
        _BUCKET(item)
        try:
            hosts.of_url(item)
        except ValueError as error:
            raise ValidationError("must have ports up to 65535") from error


def origins(given: list[str]) -> None:
    for item in given if given != ["*"] else ():
        _ORIGIN(item)
        scheme, port = item.partition("://")[0], re.search(r":([0-9]+)$", item)
        if port and (int(port[1]) > 65_535 or int(port[1]) == _UNSAID_PORTS.get(scheme)):
            raise ValidationError(
                f"must have ports up to 65535, but not the scheme's own, which browsers leave out: {item}"
            )


def networks(given: list[str]) -> None:
    for item in given:
        try:
            found = ipaddress.ip_network(item)
        except ValueError as error:
            raise ValidationError(
                f"must be networks, by commas, such as 10.0.0.0/8 or 2001:db8::/32, but not {item}"
            ) from error
        if found.prefixlen == 0:
            raise ValidationError(f"must not be everybody: {item}")


def path(given: str | None) -> Path | None:
    """An empty one is unset, as compose passes on what is not there."""
    return Path(given).resolve() if given else None


def moment(given: str | None) -> dt.datetime | None:
    """An empty one is unset. Raises ValidationError for what has no zone, or is no moment."""
    if not given:
        return None
    found = None
    with contextlib.suppress(ValueError):
        found = dt.datetime.fromisoformat(given)
    if found is None or found.tzinfo is None:
        raise ValidationError("must be a date and time with a zone, such as 2027-01-01T00:00:00Z")
    return found


def delays(given: list[float]) -> None:
    if not given or given[0] != 0 or not all(0 <= item <= _MAX_DELAY_S for item in given):
        raise ValidationError(f"must be seconds between 0 and {_MAX_DELAY_S}, by commas, of which the first is 0")


def secrets(given: list[str]) -> None:
    if not all(len(item) >= MIN_SECRET for item in given):
        raise ValidationError(f"must be keys of at least {MIN_SECRET} characters, by commas")


def receivers(given: list[str]) -> None:
    for item in given:
        _HOST(item)


def ports(given: list[str]) -> None:
    for item in given:
        _PORT(item)
        if not _LOWEST_PORT <= int(item) <= 65_535:
            raise ValidationError(f"must be ports between {_LOWEST_PORT} and 65535")


def told(messages: Mapping[str, Any]) -> str:
    """One sentence from what is wrong with each setting, by its name."""
    texts = {name: " ".join(map(str, text)) for name, text in sorted(messages.items())}
    missing = [name for name, text in texts.items() if text == UNSET]
    faults = [f"{', '.join(missing)} not set"] if missing else []
    faults += [f"{name}: {text}" for name, text in texts.items() if name not in missing]
    return f"Settings to mend: {'; '.join(faults)} (docs/settings.md lists them all)"


def guessable(secret: str) -> bool:
    """Whether a secret seems to hold fewer than MIN_SECRET_BITS, or is one that was meant to be replaced.

    Shannon's estimate, over its characters or over the steps from one to the next, whichever is less, and of a piece
    that repeats over that piece alone: so neither aaaa nor abcd nor xyxy holds much.
    """
    piece = next(secret[:size] for size in range(1, len(secret) + 1) if secret.startswith(secret[size:]))
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(piece)]
    return _PLACEHOLDER.search(secret) is not None or min(_bits(piece), _bits(steps)) < MIN_SECRET_BITS


def _bits(items: Sequence[object]) -> float:
    counts = Counter(items).values()
    return sum(count * math.log2(len(items) / count) for count in counts)
