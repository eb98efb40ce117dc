"""Tokens of an issuer: which open something, for whom, and what holds while the issuer changes its keys or is away."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cachetools import TTLCache
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

from access import issuer as product
from access import tenants, tokens
from access.tokens import Tokens
from core import errors
from core.setting_doors import Oidc
from tests import callers
from tests.access.conftest import Clock
from tests.conftest import Platform, until
from tests.issuer import Issuer, made

ORG = "org_id"
NOW_S = int(time.time())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of the issuer's keys, and of what is remembered of tokens."""
    clock = Clock()
    monkeypatch.setattr(product, "monotonic", clock.monotonic)
    monkeypatch.setattr(tokens, "TTLCache", functools.partial(TTLCache, timer=clock.monotonic))
    return clock


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.stop()


@pytest.fixture
def verifies(platform: Platform, issuer: Issuer, clock: Clock) -> Tokens:
    return Tokens(platform.engine, Oidc(issuer=issuer.url, tenant_claim=ORG, tier_claim="plan"))


@pytest.fixture
def org() -> str:
    return callers.name("org")


def opens(verifies: Tokens, token: str) -> bool:
    try:
        verifies.verify(token)
    except errors.Unauthorized:
        return False
    return True


def part(said: object) -> str:
    written = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(written).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_speaks_for_the_tenant_that_it_names_and_may_what_it_says(
    platform: Platform, issuer: Issuer, verifies: Tokens, org: str, algorithm: str
) -> None:
    issuer.sign_by(made(algorithm), algorithm)
    scope = "openid predict jobs admin metrics keys"
    found = verifies.verify(issuer.token(org_id=org, sub="joe", plan="pro", scope=scope))
    assert platform.one("SELECT id FROM tenants WHERE name = :name", name=org) == (found.tenant_id,)
    assert (found.tier.name, set(found.scopes), found.network) == ("pro", {"predict", "jobs"}, None)
    assert found.key_id == f"oidc:{hashlib.sha256(b'joe').hexdigest()[:16]}"


def test_what_the_token_does_not_say_is_the_least(issuer: Issuer, verifies: Tokens, org: str) -> None:
    found = verifies.verify(issuer.token(org_id=org, scope=None))
    assert (found.tier.name, found.scopes) == ("free", frozenset())
    assert verifies.verify(issuer.token(org_id=org, scope=7)).scopes == frozenset()
    assert verifies.verify(issuer.token(org_id=org, scope=["jobs", 7, {}])).scopes == {"jobs"}


def test_the_tier_of_a_tenant_that_is_there_is_the_operators_to_say(
    platform: Platform, issuer: Issuer, verifies: Tokens, org: str
) -> None:
    tenants.create(platform.engine, org, "free")
    assert verifies.verify(issuer.token(org_id=org, plan="pro")).tier.name == "free"
    tenants.change(platform.engine, org, tier="internal")
    assert verifies.verify(issuer.token(org_id=org, plan="pro")).tier.name == "internal"


@pytest.mark.parametrize(
    "claims",
    [
        {}, {"org_id": 7}, {"org_id": ""}, {"org_id": " a"}, {"org_id": "a\x00"}, {"org_id": "\ud800"},
        {"org_id": "x" * 101}, {"org_id": "anonymous"}, {"org_id": "ours", "plan": "platinum"},
        {"org_id": "ours", "plan": ["pro"]}, {"org_id": ["ours"]},
    ],
)  # fmt: skip
def test_a_good_token_that_names_no_tenant_is_forbidden_and_makes_none(
    platform: Platform, issuer: Issuer, verifies: Tokens, claims: dict[str, Any]
) -> None:
    before = platform.one("SELECT count(*) FROM tenants")
    with pytest.raises(errors.Forbidden, match="'org_id' and 'plan'"):
        verifies.verify(issuer.token(**claims))
    assert platform.one("SELECT count(*) FROM tenants") == before


@pytest.mark.parametrize(
    ("claims", "headers"),
    [
        ({"aud": "another"}, {}), ({"aud": None}, {}), ({"aud": ["another"]}, {}), ({"aud": 7}, {}),
        ({"iss": "http://127.0.0.1:1/"}, {}), ({"iss": None}, {}),
        ({"sub": None}, {}), ({"exp": None}, {}), ({"exp": "soon"}, {}), ({"exp": float("inf")}, {}),
        ({"exp": NOW_S - 120}, {}), ({"nbf": NOW_S + 4000}, {}), ({"iat": NOW_S + 4000}, {}),
        ({}, {"kid": "another"}), ({}, {"kid": None}), ({}, {"crit": ["x"], "x": 1}),
        ({}, {"b64": False, "crit": ["b64"]}), ({"more": "x" * 9000}, {}),
    ],
)  # fmt: skip
def test_a_token_that_was_not_meant_for_us_or_not_for_now_opens_nothing(
    issuer: Issuer, verifies: Tokens, org: str, claims: dict[str, Any], headers: dict[str, Any]
) -> None:
    assert opens(verifies, issuer.token(org_id=org))
    assert not opens(verifies, issuer.token(headers, org_id=org, **claims))


def test_clocks_may_differ_by_a_minute(issuer: Issuer, verifies: Tokens, org: str) -> None:
    now = int(time.time())
    assert opens(verifies, issuer.token(org_id=org, exp=now - 40, nbf=now + 40))
    assert opens(verifies, issuer.token(org_id=org, aud=["another", "coatcheck"]))


def test_who_signs_with_another_key_another_way_or_not_at_all_opens_nothing(
    issuer: Issuer, verifies: Tokens, org: str
) -> None:
    issuer.sign_by(made("RS256"), "RS256")
    good = issuer.token(org_id=org)
    head, claims, signature = good.split(".")
    kid, said = issuer.kid, jwt.decode(good, options={"verify_signature": False})
    key: Any = issuer.private[kid]
    assert opens(verifies, good)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    spec = json.dumps(issuer.listed[0]).encode()

    def by_hmac(secret: bytes) -> str:
        signed = f"{part({'alg': 'HS256', 'kid': kid})}.{claims}"
        return f"{signed}.{part(hmac.digest(secret, signed.encode(), 'sha256'))}"

    forged = {
        "another key": jwt.encode(said, made("RS256"), "RS256", {"kid": kid}),
        "another algorithm of the same key": jwt.encode(said, key, "PS256", {"kid": kid}),
        "a longer hash": jwt.encode(said, key, "RS512", {"kid": kid}),
        "another kind of key": jwt.encode(said, made("ES256"), "ES256", {"kid": kid}),
        "none": f"{part({'alg': 'none', 'kid': kid})}.{claims}.",
        "None": f"{part({'alg': 'None', 'kid': kid})}.{claims}.{signature}",
        "the public key as a password": by_hmac(public),
        "the key set as a password": by_hmac(spec),
        "nothing as a password": by_hmac(b""),
        "a key of its own": jwt.encode(said, made("ES256"), "ES256", {"kid": kid, "jwk": issuer.listed[0]}),
        "other claims": f"{head}.{part({**said, ORG: 'another'})}.{signature}",
        "no signature": f"{head}.{claims}.",
        "a cut one": good[:-4],
        "two parts": f"{head}.{claims}",
        "four": f"{good}.{signature}",
    }  # fmt: skip
    assert [what for what, token in forged.items() if opens(verifies, token)] == []


@pytest.mark.parametrize(
    "token",
    [
        ".", "..", "...", "a.b.c", "é.é.é", "eyJ.eyJ.x", f"{part([])}.{part({})}.x", f"{part(b'[' * 5000)}.e30.x",
        f"{part(b'9' * 5000)}.e30.x", f"{part({'kid': ['a']})}.e30.x", f"{part({'kid': 'a', 'alg': 7})}.e30.x",
        "." * 8192, f"{part({'alg': 'ES256', 'kid': 'x' * 5000})}.e30.x",
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused(verifies: Tokens, token: str) -> None:
    assert not opens(verifies, token)


def test_a_token_is_read_up_to_its_limit_and_not_beyond(issuer: Issuer, verifies: Tokens, org: str) -> None:
    def of(more: int) -> str:
        return issuer.token(org_id=org, sub="joe", more="x" * more)

    most = max(more for more in range(5600, 6200) if len(of(more)) <= tokens.LONGEST)
    assert opens(verifies, of(most))
    assert not opens(verifies, of(most + 3))


def test_a_key_of_fewer_than_2048_bits_is_not_trusted(issuer: Issuer, verifies: Tokens, org: str) -> None:
    issuer.sign_by(rsa.generate_private_key(65537, 1024), "RS256")
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = issuer.token(org_id=org)
    assert not opens(verifies, token)


def test_a_key_that_is_listed_for_something_else_verifies_nothing(issuer: Issuer, verifies: Tokens, org: str) -> None:
    issuer.sign_by(made("ES256"), use="enc")
    assert not opens(verifies, issuer.token(org_id=org))


def test_a_new_key_is_looked_for_once_and_unknown_ones_at_most_once_a_minute(
    issuer: Issuer, verifies: Tokens, clock: Clock, org: str
) -> None:
    assert opens(verifies, issuer.token(org_id=org))
    clock.now_s += 60
    issuer.sign_by(made("ES256"))
    assert opens(verifies, issuer.token(org_id=org))
    assert issuer.asked == 2
    for number in range(20):
        assert not opens(verifies, issuer.token({"kid": f"made up {number}"}, org_id=org))
    clock.now_s += 59.9
    assert not opens(verifies, issuer.token({"kid": "made up"}, org_id=org))
    assert issuer.asked == 2
    clock.now_s += 0.2
    assert not opens(verifies, issuer.token({"kid": "made up"}, org_id=org))
    assert issuer.asked == 3


def test_a_key_that_the_issuer_has_withdrawn_is_forgotten_after_ten_minutes(
    issuer: Issuer, verifies: Tokens, clock: Clock, org: str
) -> None:
    assert opens(verifies, issuer.token(org_id=org))
    old, private = issuer.kid, issuer.private[issuer.kid]
    issuer.sign_by(made("ES256"))
    issuer.private[issuer.kid] = private
    clock.now_s += 599
    assert opens(verifies, issuer.token({"kid": old}, org_id=org))
    assert issuer.asked == 1
    clock.now_s += 2
    opens(verifies, issuer.token({"kid": old}, org_id=org))  # nobody waits for the new list
    until(lambda: not opens(verifies, issuer.token({"kid": old}, org_id=org)))
    assert issuer.asked == 2


def test_while_the_issuer_is_away_known_keys_go_on_and_others_may_come_again(
    issuer: Issuer, verifies: Tokens, clock: Clock, org: str
) -> None:
    token = issuer.token(org_id=org)
    assert opens(verifies, token)
    issuer.stop()
    for _ in range(3):
        clock.now_s += 601
        assert opens(verifies, issuer.token(org_id=org))
        with pytest.raises(errors.Unavailable):
            verifies.verify(issuer.token({"kid": "new"}, org_id=org))


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (".well-known/openid-configuration", 500, b"{}"),
        (".well-known/openid-configuration", 302, b"{}"),
        (".well-known/openid-configuration", 200, b'{"issuer": "http://another/", "jwks_uri": "{keys}"}'),
        (".well-known/openid-configuration", 200, b'{"issuer": "{issuer}", "jwks_uri": 7}'),
        (".well-known/openid-configuration", 200, b'{"issuer": "{issuer}", "jwks_uri": "file:///etc/passwd"}'),
        ("keys", 404, b"{}"),
        ("keys", 500, b"{listed}"),
        ("keys", 200, b"[]"),
        ("keys", 200, b"{"),
        ("keys", 200, b"\xff"),
        ("keys", 200, b'{"keys": []}'),
        ("keys", 200, b'{"keys": [7, {"kty": "x"}, {"kty": "EC"}]}'),
        ("keys", 200, b"{listed}" + b" " * 2**18),
    ],
)
def test_an_issuer_that_says_nothing_of_use_lets_nobody_in_and_can_mend_it(
    issuer: Issuer, verifies: Tokens, clock: Clock, org: str, path: str, status: int, body: bytes
) -> None:
    said = body.replace(b"{issuer}", issuer.url.encode()).replace(b"{keys}", f"{issuer.url}keys".encode())
    said = said.replace(b"{listed}", json.dumps({"keys": issuer.listed}).encode())
    issuer.answers[f"/login/{path}"] = (status, said)
    token = issuer.token(org_id=org)
    with pytest.raises(errors.Unavailable):
        verifies.verify(token)
    issuer.answers.clear()
    with pytest.raises(errors.Unavailable):  # it is left alone for a minute
        verifies.verify(token)
    clock.now_s += 60
    assert opens(verifies, token)


def test_many_who_come_at_once_make_one_of_them_ask(issuer: Issuer, verifies: Tokens, org: str) -> None:
    found: list[bool] = []

    def come(token: str) -> None:
        with contextlib.suppress(errors.Unavailable):  # who has waited for a second
            found.append(opens(verifies, token))

    several = [issuer.token(org_id=org) for _ in range(8)]
    threads = [threading.Thread(target=come, args=(one,)) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found)
    assert all(opens(verifies, token) for token in several)
    assert issuer.asked == 1


def test_a_slow_issuer_keeps_few_waiting(
    monkeypatch: pytest.MonkeyPatch, issuer: Issuer, verifies: Tokens, org: str
) -> None:
    monkeypatch.setattr(product, "WAIT_S", 60.0)
    refused: list[str] = []

    def come(token: str) -> None:
        try:
            verifies.verify(token)
        except errors.Unavailable:
            refused.append(token)

    tokens = [issuer.token(org_id=org) for _ in range(12)]
    threads = [threading.Thread(target=come, args=(token,)) for token in tokens]
    with verifies._issuer._asking:  # somebody looks, and that takes long
        for thread in threads:
            thread.start()
        until(lambda: len(refused) == 12 - product.WAITING)
    for thread in threads:
        thread.join()
    assert len(refused) == 12 - product.WAITING


def test_a_token_that_has_expired_is_forgotten_within_seconds(
    issuer: Issuer, verifies: Tokens, clock: Clock, org: str
) -> None:
    token = issuer.token(org_id=org, exp=(ends_at := int(time.time()) - 50))
    assert opens(verifies, token)
    until(lambda: time.time() > ends_at + 60)
    clock.now_s += 5.1
    assert not opens(verifies, token)


@pytest.mark.parametrize(
    ("issuer_url", "keys_url", "trusted"), [("https", "http", False), ("https", "https", True), ("http", "http", True)]
)
def test_keys_that_came_without_tls_are_nobodys_where_the_issuer_has_it(
    monkeypatch: pytest.MonkeyPatch, issuer_url: str, keys_url: str, trusted: bool
) -> None:
    url, keys_at = f"{issuer_url}://issuer.example", f"{keys_url}://issuer.example/keys"
    listed = {**json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())), "kid": "a"}
    asked: list[str] = []

    def document(where: str, _: object) -> dict[str, Any]:
        asked.append(where)
        return {"keys": [listed]} if where == keys_at else {"issuer": url, "jwks_uri": keys_at}

    monkeypatch.setattr(product, "_document", document)
    found = product.Issuer(url)
    if trusted:
        assert found.key("a").key_id == "a"
    else:
        with pytest.raises(errors.Unavailable):
            found.key("a")
    assert (keys_at in asked) == trusted
