"""Ids: what is in their bits, and which texts are one."""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from collections.abc import Callable

import pytest

from core import errors, ids

VALUE = uuid.UUID("0192f0c1-2d3e-7abc-9def-0123456789ab")
#: How an id of each kind is written, read, and said not to be there.
KINDS: list[tuple[str, Callable[[uuid.UUID], str], Callable[[str], uuid.UUID], type[errors.NotFound]]] = [
    ("job_", ids.job_id, ids.parse_job_id, errors.JobNotFound),
    ("upl_", ids.upload_id, ids.parse_upload_id, errors.UploadNotFound),
    ("ep_", ids.endpoint_id, ids.parse_endpoint_id, errors.WebhookNotFound),
    ("msg_", ids.delivery_id, ids.parse_delivery_id, errors.DeliveryNotFound),
]


def test_it_is_a_version_7_uuid_whatever_chance_gives_and_all_the_rest_of_it_is_chance() -> None:
    made = [ids.uuid7(1_700_000_000.123) for _ in range(200)]
    assert {(item.version, item.variant, item.int >> 80) for item in made} == {
        (7, uuid.RFC_4122, 1_700_000_000_123),
    }  # fmt: skip
    ever, always = 0, 2**128 - 1
    for item in made:
        ever, always = ever | item.int, always & item.int
    # The version and the variant are the only bits below the time that are ever the same.
    assert f"{ever ^ always:0128b}"[48:] == "0000" + "1" * 12 + "00" + "1" * 62


def test_it_tells_the_millisecond_of_this_machines_clock_where_no_other_is_given() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= ids.uuid7().int >> 80 <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("given", ["a", "A-z_0.9", "x" * 128])
def test_a_request_is_known_as_its_client_calls_it(given: str) -> None:
    assert ids.request_id(given) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\n", "ü", "a/b"])
def test_a_request_that_is_called_by_what_is_no_name_has_a_new_one(given: str) -> None:
    assert re.fullmatch("req_[0-9a-f]{16}", ids.request_id(given))


@pytest.mark.parametrize(("prefix", "write", "read", "missing"), KINDS, ids=[kind[0] for kind in KINDS])
def test_an_id_is_read_as_it_was_written_and_nothing_else_is_one(
    prefix: str,
    write: Callable[[uuid.UUID], str],
    read: Callable[[str], uuid.UUID],
    missing: type[errors.NotFound],
) -> None:
    good = write(VALUE)
    assert good == f"{prefix}{VALUE.hex}"
    assert read(good) == VALUE
    others = [f"{other}{VALUE.hex}" for other, *_ in KINDS if other != prefix]
    odd = [VALUE.hex, good[:-1], f"{good}0", good.upper(), f"{good[:-1]}g", f"{prefix}{VALUE}", f"{good[:-1]}\n", ""]
    for text in (*others, *odd):
        with pytest.raises(missing):
            read(text)


def test_an_id_is_not_below_what_its_moment_gives_and_is_below_what_the_next_one_does() -> None:
    at = dt.datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=dt.UTC)
    assert ids.born(at) <= ids.uuid7(at.timestamp()) < ids.born(at, 0.002)
    assert ids.born(at, -0.002) <= ids.uuid7(at.timestamp() - 0.002) < ids.born(at)
    first, last = (dt.datetime(year, month, day, tzinfo=dt.UTC) for year, month, day in ((1, 1, 1), (9999, 12, 31)))
    assert (ids.born(first, -600.0).int, ids.born(last, 600.0) > ids.born(last)) == (0, True)
