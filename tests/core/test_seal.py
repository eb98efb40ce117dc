"""Sealed values: who can open them, and where."""

from __future__ import annotations

import base64
import dataclasses
import uuid

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from core import errors, seal, settings
from core.seal import Context, Purpose, Seal
from tests.core.test_settings import GOOD

OURS, THEIRS = uuid.UUID(int=1), uuid.UUID(int=2)
HERE = Context(Purpose.INPUT_URL, OURS, OURS)
NEW, OLD = "n" * 32, "o" * 32
#: Sealed before there was a context, by a Fernet of OLD's SHA-256.
FERNET = "gAAAAABrB45qHB2Vu37SA_yypi8882SJbsJTnnkbiE09Fz-2dqM6b88ZyZUKfrH2eG13m96KGLiioZALti3UsXwYXWQ6kLW8-Q=="


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return settings.load()


def with_keys(keyring: settings.Settings, current: str, *old: str) -> Seal:
    return Seal(dataclasses.replace(keyring.sealing, secret_key=current, old_secret_keys=old))


def test_a_value_opens_where_it_was_sealed_for_and_shows_nothing(keyring: settings.Settings) -> None:
    ours = with_keys(keyring, NEW)
    sealed = ours.seal("https://bucket.example/ü", HERE)
    assert ours.open(sealed, HERE) == "https://bucket.example/ü"
    assert with_keys(keyring, NEW).open(sealed, HERE) == "https://bucket.example/ü"
    assert "bucket" not in sealed
    assert sealed != ours.seal("https://s3/ü", HERE)
    assert sealed.split(".")[:2] == ["s1", seal.key_id(NEW)]


@pytest.mark.parametrize(
    "there",
    [
        Context(Purpose.OUTPUT_URL, OURS, OURS),
        Context(Purpose.WEBHOOK_SECRET, OURS, OURS),
        Context(Purpose.INPUT_URL, THEIRS, OURS),
        Context(Purpose.INPUT_URL, OURS, THEIRS),
        Context(Purpose.INPUT_URL, OURS, None),
    ],
    ids=["output", "webhook", "tenant", "owner", "no owner"],
)
def test_it_opens_nowhere_else(keyring: settings.Settings, there: Context) -> None:
    ours = with_keys(keyring, NEW)
    with pytest.raises(errors.SecretLost):
        ours.open(ours.seal("secret", HERE), there)
    with pytest.raises(errors.SecretLost):
        ours.open(ours.seal("secret", there), HERE)


def test_what_was_changed_cut_or_made_up_is_lost_and_nothing_else_happens(keyring: settings.Settings) -> None:
    ours = with_keys(keyring, NEW)
    sealed = ours.seal("secret", HERE)
    bad = [sealed[:size] for size in range(len(sealed))]
    bad += [sealed[:at] + ("B" if sealed[at] == "A" else "A") + sealed[at + 1 :] for at in range(len(sealed))]
    bad += [sealed + more for more in ("A", "=", "\n", " ", ".", ".AA")]
    bad += [
        f"s1.{seal.key_id(OLD)}.{sealed.split('.')[2]}",
        f"s2{sealed[2:]}",
        "\ud800",
        "ü",
        "gAAAAA",
        "gAAAAA==",
        "..",
    ]
    for text in bad:
        with pytest.raises(errors.SecretLost):
            ours.open(text, HERE)


def test_no_two_purposes_and_no_two_secrets_share_a_key(keyring: settings.Settings) -> None:
    purposes = [*Purpose, "key-id"]
    keys = {seal.derive(secret, purpose, 32) for secret in (NEW, OLD) for purpose in purposes}
    assert len(keys) == 2 * len(purposes)
    assert not any(key.hex().startswith(seal.key_id(NEW)) for key in (seal.derive(NEW, item, 32) for item in Purpose))


def test_the_bytes_are_as_documented_so_that_they_can_be_read_without_us(keyring: settings.Settings) -> None:
    _, key, text = with_keys(keyring, NEW).seal("secret", HERE).split(".")
    raw = base64.urlsafe_b64decode(text + "==")
    cipher = AESGCMSIV(seal.derive(NEW, "input-url", 32))
    assert cipher.decrypt(raw[:12], raw[12:], f"s1.{key}.input-url.{OURS}.{OURS}".encode()) == b"secret"
    with pytest.raises(InvalidTag):
        cipher.decrypt(raw[:12], raw[12:], b"")


#: Sealed by an earlier release under NEW, for this tenant and that owner.
EARLIER = {
    Purpose.WEBHOOK_SECRET: "s1.c9cbb43505fc.fI4srxZfAkTUOYTOsw6XovAXvz6yzU3YTIuKNbKT-SrsXQ",
    Purpose.INPUT_URL: "s1.c9cbb43505fc.W_DTP5hSvjxK_Ou_vLl4l9IM6F0TCTFQE90OXPZjQvpiOA",
    Purpose.OUTPUT_URL: "s1.c9cbb43505fc.A8wnqL4SOu7KialKoZbRYTr-hp6qrOyKX70SCBivMeH9Ag",
}


@pytest.mark.parametrize("purpose", Purpose)
def test_what_an_earlier_release_sealed_opens_and_is_right_as_it_is(
    keyring: settings.Settings, purpose: Purpose
) -> None:
    ours, there = with_keys(keyring, NEW), Context(purpose, OURS, THEIRS)
    assert ours.open(EARLIER[purpose], there) == "secret"
    assert ours.renewed(EARLIER[purpose], there) == EARLIER[purpose]


def test_a_key_is_replaced_without_a_moment_in_which_something_does_not_open(keyring: settings.Settings) -> None:
    before, ready = with_keys(keyring, OLD), with_keys(keyring, OLD, NEW)
    during, after = with_keys(keyring, NEW, OLD), with_keys(keyring, NEW)
    # Processes are restarted one after the other: a neighbour's key is known before anybody seals with it.
    for sealing, opening in ((before, ready), (ready, before), (ready, during), (during, ready), (during, after)):
        assert opening.open(sealing.seal("secret", HERE), HERE) == "secret"
    with pytest.raises(errors.SecretLost):
        after.open(before.seal("secret", HERE), HERE)
    moved = during.renewed(before.seal("secret", HERE), HERE)
    assert after.open(moved, HERE) == "secret"
    assert during.renewed(moved, HERE) == moved


def test_what_was_sealed_before_contexts_opens_until_it_is_bound(keyring: settings.Settings) -> None:
    for ours in (with_keys(keyring, OLD), with_keys(keyring, NEW, OLD)):
        assert ours.open(FERNET, HERE) == "secret"
        bound = ours.renewed(FERNET, HERE)
        assert ours.open(bound, HERE) == "secret"
        with pytest.raises(errors.SecretLost):
            ours.open(bound, Context(Purpose.INPUT_URL, THEIRS, OURS))
    with pytest.raises(errors.SecretLost):
        with_keys(keyring, NEW).open(FERNET, HERE)
