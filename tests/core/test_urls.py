"""What can be read in two ways is refused at every door, in the same words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from core import errors, urls
from core.settings import Settings
from storage.fetch import Fetcher
from tests.changed import changed
from tests.conftest import Platform
from webhooks.receivers import Receivers

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
SIGNED = "?AWSAccessKeyId=k&Signature=s&Expires=4000000000"

DOORS: dict[str, Callable[[Settings, str], object]] = {
    "input_url": lambda settings, url: Fetcher(settings).probe(url, NOW),
    "output_url": lambda settings, url: Fetcher(settings).check_target(url, NOW),
    "webhook_url": lambda settings, url: Receivers(settings).parse(url, "webhook_url"),
}
PLAIN = "must be a plain https URL in ASCII, its host in lower case, with no fragment"
NO_NAME = "has a host that is no name, or no port"
DOTS = "must have no . or .. in its path"
REFUSED = {
    "https://s3.example:0/inbox/x": NO_NAME,
    "https://s3.example:/inbox/x": NO_NAME,
    "https://s3..example/inbox/x": NO_NAME,
    "https://.s3.example/inbox/x": NO_NAME,
    f"https://{'a' * 64}.example/inbox/x": NO_NAME,
    "https://s3,example/inbox/x": NO_NAME,
    "https://s3%2eexample/inbox/x": NO_NAME,
    "https://s3.example:x/inbox/x": "is not a URL",
    "https://S3.example/inbox/x": PLAIN,
    "https://s3.example/inbox/x y": PLAIN,
    "https://s3.example/inbox/\tx": PLAIN,
    "https://s3.example/inbox/x#": PLAIN,
    "//s3.example/inbox/x": PLAIN,
    "https://me:secret@s3.example/inbox/x": "must have no user in it",
    "https://s3.example/inbox/../x": DOTS,
    "https://s3.example/inbox/./x": DOTS,
    "https://s3.example/inbox/%2e%2E/x": DOTS,
    "https://s3.example/inbox/..": DOTS,
    "https://s3.example/inbox/..%2fx": DOTS,
}


@pytest.fixture
def settings(platform: Platform) -> Settings:
    return changed(platform.settings, input_buckets=("https://s3.example/inbox",))


@pytest.mark.parametrize("field", DOORS)
@pytest.mark.parametrize("url", REFUSED)
def test_every_door_refuses_the_same_urls_in_the_same_words(settings: Settings, field: str, url: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        DOORS[field](settings, url if "#" in url else url + SIGNED)
    assert refused.value.details == {"field": field, "issue": REFUSED[url]}


@pytest.mark.parametrize("field", ["output_url", "webhook_url"])
@pytest.mark.parametrize("path", ["/inbox/...", "/inbox/.x/y..", "/inbox//x", "/inbox/%20?a=/../"])
def test_dots_that_lead_nowhere_and_odd_but_plain_paths_are_let_in(settings: Settings, field: str, path: str) -> None:
    DOORS[field](settings, f"https://s3.example{path}{SIGNED if '?' not in path else SIGNED.replace('?', '&')}")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://s3.example", "/"),
        ("https://s3.example?a=b", "/?a=b"),
        ("https://s3.example/a%2Fb;c?d=%20&d", "/a%2Fb;c?d=%20&d"),
        # Python writes such a path in two ways, by its version; a signature holds for one.
        ("https://s3.example//a//b?c", "//a//b?c"),
    ],
)
def test_what_is_asked_for_is_what_was_written(url: str, target: str) -> None:
    assert urls.parse(url, "url").target == target


@pytest.mark.parametrize(
    ("netloc", "host", "port"),
    [
        ("s3.example", "s3.example", 443),
        ("s3.example.", "s3.example.", 443),
        ("s3.example:8443", "s3.example", 8443),
        ("[2a00::1]:8443", "2a00::1", 8443),
        ("10.0.0.1", "10.0.0.1", 443),
        (f"my_store.{'a' * 63}", f"my_store.{'a' * 63}", 443),
    ],
)
def test_names_and_numbers_are_taken_with_and_without_a_port(netloc: str, host: str, port: int) -> None:
    parsed = urls.parse(f"https://{netloc}/x", "url")
    assert (parsed.host, parsed.port, parsed.netloc) == (host, port, netloc)
