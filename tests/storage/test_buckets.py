"""Which addresses are in a bucket that the operator allows, for how long, and how much is read of them."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest

from core import errors, urls
from storage import signed_url
from storage.fetch import Fetcher
from storage.signed_url import FIELD, SPARE_S, TARGET, Bucket
from tests.changed import changed
from tests.conftest import Platform

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
INBOX = Bucket.parse("https://s3.example/inbox", private=False)


def holds(bucket: Bucket, url: str) -> bool:
    return bucket.holds(urls.parse(url, FIELD))


@pytest.mark.parametrize(
    ("allowed", "parts"),
    [
        ("https://s3.example/inbox", ("https", "s3.example", 443, "inbox")),
        ("http://s3.example/inbox", ("http", "s3.example", 80, "inbox")),
        ("https://s3.example:8443/in.bo-x_", ("https", "s3.example", 8443, "in.bo-x_")),
    ],
)
@pytest.mark.parametrize("private", [True, False])
def test_an_allowed_bucket_is_read_to_its_last_part(
    allowed: str, parts: tuple[str, str, int, str], *, private: bool
) -> None:
    assert Bucket.parse(allowed, private=private) == Bucket(*parts, private)


@pytest.mark.parametrize(
    "url", ["https://s3.example/inbox/x", "https://s3.example/inbox/a/b", "https://inbox.s3.example/x"]
)
def test_what_lies_in_an_allowed_bucket_is_in_it(url: str) -> None:
    assert holds(INBOX, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.example/inbox2/x", "https://s3.example/inboxes/x", "https://s3.example/inbox-of-others/x",
        "https://s3.example/inbo/x", "https://s3.example/INBOX/x", "https://s3.example//inbox/x",
        "https://s3.example/other/inbox/x", "https://s3.example/inbox", "https://s3.example/inbox/",
        "https://inbox2.s3.example/x", "https://xinbox.s3.example/x", "https://inbox.s3.example/",
        "https://inbox.s3.example.evil/x", "https://s3.example.evil/inbox/x", "https://evil-s3.example/inbox/x",
        "https://other.s3.example/inbox/x", "http://s3.example:443/inbox/x", "https://s3.example:8443/inbox/x",
    ],
)  # fmt: skip
def test_a_bucket_whose_name_only_begins_like_an_allowed_one_is_refused(platform: Platform, url: str) -> None:
    assert not holds(INBOX, url)
    fetcher = Fetcher(changed(platform.settings, input_buckets=("https://s3.example/inbox",)))
    signed = f"{url}?AWSAccessKeyId=k&Signature=s&Expires=4000000000"
    for ask in (fetcher.probe, fetcher.check_target):
        with pytest.raises(errors.InvalidInput) as refused:
            ask(signed, NOW)
        assert refused.value.details["issue"] == "is in no bucket that this platform may use"


def test_a_number_has_no_names_below_it() -> None:
    bucket = Bucket.parse("https://10.0.0.1/inbox", private=True)
    assert holds(bucket, "https://10.0.0.1/inbox/x")
    assert not holds(bucket, "https://inbox.10.0.0.1/x")


def signed(form: str, ends_at: dt.datetime) -> str:
    """A query that holds until then."""
    began = (ends_at - dt.timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ")
    at = int(ends_at.timestamp())
    return {
        "AWS 4": f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=s&X-Amz-Date={began}&X-Amz-Expires=3600",
        "Google 4": f"X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Signature=s&X-Goog-Date={began}&X-Goog-Expires=3600",
        "AWS 2": f"AWSAccessKeyId=k&Signature=s&Expires={at}",
        "Google 2": f"GoogleAccessId=k&Signature=s&Expires={at}",
    }[form]


@pytest.mark.parametrize("form", ["AWS 4", "Google 4", "AWS 2", "Google 2"])
@pytest.mark.parametrize("left_s", [SPARE_S - 1, SPARE_S, SPARE_S + 1])
def test_a_signature_has_to_hold_for_a_minute_more(form: str, left_s: int) -> None:
    assert SPARE_S == 60
    url = f"https://s3.example/inbox/x?{signed(form, NOW + dt.timedelta(seconds=left_s))}"
    for field, refusal in ((FIELD, errors.InputExpired), (TARGET, errors.InvalidInput)):
        with pytest.raises(refusal) if left_s < SPARE_S else contextlib.nullcontext():
            signed_url.check_signature(urls.parse(url, field), field, NOW)


@pytest.mark.parametrize("size", [9, 10, 11])
def test_a_file_is_read_up_to_the_limit_of_bytes_and_no_further(platform: Platform, size: int) -> None:
    s3 = platform.store.client
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket="inbox")
    s3.put_object(Bucket="inbox", Key="limit", Body=b"x" * size)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "inbox", "Key": "limit"}, ExpiresIn=600)
    fetcher = Fetcher(changed(platform.settings, max_upload_bytes=10))
    now = dt.datetime.now(dt.UTC)
    if size <= 10:
        found = fetcher.probe(url, now)
        assert (found.size, b"".join(fetcher.stream(url, found.etag))) == (size, b"x" * size)
        return
    for read in (lambda: fetcher.probe(url, now), lambda: list(fetcher.stream(url, None))):
        with pytest.raises(errors.InputTooLarge) as refused:
            read()
        assert refused.value.details == {"field": FIELD, "limit": 10}
