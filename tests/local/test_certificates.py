from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from local import certificates
from local.certificates import VALID, Certificate


def contents(found: Certificate) -> set[bytes]:
    return {found.authority.read_bytes(), found.certificate.read_bytes(), found.key.read_bytes()}


def test_a_certificate_is_made_once_and_the_authoritys_key_is_kept_nowhere(tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path)
    assert contents(certificates.ensure(tmp_path)) == contents(made)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "ca.pem": 0o600, "certificate.pem": 0o600, "key.pem": 0o600,
    }  # fmt: skip


def test_a_certificate_near_its_end_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(certificates.ensure(tmp_path))
    monkeypatch.setattr(certificates, "RENEW", VALID)
    assert contents(certificates.ensure(tmp_path)).isdisjoint(before)


@pytest.mark.parametrize("name", ["ca.pem", "certificate.pem", "key.pem"])
@pytest.mark.parametrize("text", [None, "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "other"])
def test_a_damaged_or_foreign_file_is_replaced_with_all_three(tmp_path: Path, name: str, text: str | None) -> None:
    before = contents(certificates.ensure(tmp_path / "own"))
    path = tmp_path / "own" / name
    if text is None:
        path.unlink()
    elif text == "other":
        certificates.ensure(tmp_path / "other")
        path.write_bytes((tmp_path / "other" / name).read_bytes())
    else:
        path.write_text(text)
    assert contents(certificates.ensure(tmp_path / "own")).isdisjoint(before)


def test_a_certificate_is_good_for_this_machine_from_yesterday_on_and_for_ten_years(tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path)
    authority, engine = (
        x509.load_pem_x509_certificate(path.read_bytes()) for path in (made.authority, made.certificate)
    )
    now, minute = datetime.datetime.now(datetime.UTC), datetime.timedelta(minutes=1)
    for found in (authority, engine):
        assert abs(now - datetime.timedelta(days=1) - found.not_valid_before_utc) < minute
        assert abs(now + datetime.timedelta(days=3650) - found.not_valid_after_utc) < minute
        assert found.issuer.rfc4514_string() == "CN=Coatcheck engines"
    assert (authority.subject, engine.subject.rfc4514_string()) == (authority.issuer, "CN=engine")
    key = load_pem_private_key(made.key.read_bytes(), password=None)
    assert engine.public_key() == key.public_key() != authority.public_key()
    engine.verify_directly_issued_by(authority)


def extensions(path: Path) -> dict[str, tuple[bool, x509.ExtensionType]]:
    found = x509.load_pem_x509_certificate(path.read_bytes()).extensions
    return {type(item.value).__name__: (item.critical, item.value) for item in found}


def test_a_certificate_opens_both_ends_and_signs_no_other(tmp_path: Path) -> None:
    made = certificates.ensure(tmp_path)
    authority, engine = extensions(made.authority), extensions(made.certificate)
    (_, own), (_, theirs) = authority.pop("SubjectKeyIdentifier"), engine.pop("SubjectKeyIdentifier")
    assert isinstance(own, x509.SubjectKeyIdentifier)
    assert own != theirs
    signs = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    assert authority == {"BasicConstraints": (True, x509.BasicConstraints(True, 0)), "KeyUsage": (True, signs)}
    names, usages = engine.pop("SubjectAlternativeName"), engine.pop("ExtendedKeyUsage")
    assert isinstance(names[1], x509.SubjectAlternativeName)
    assert isinstance(usages[1], x509.ExtendedKeyUsage)
    assert ([str(name.value) for name in names[1]], names[0]) == (["127.0.0.1", "localhost"], False)
    assert (set(usages[1]), usages[0]) == ({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}, False)
    assert engine == {
        "BasicConstraints": (True, x509.BasicConstraints(False, None)),
        "AuthorityKeyIdentifier": (False, x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)),
    }


@pytest.mark.parametrize(("days", "kept"), [(366, True), (364, False)])
def test_in_its_last_year_a_certificate_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, kept: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "VALID", datetime.timedelta(days=days))
        before = contents(certificates.ensure(tmp_path))
    assert (contents(certificates.ensure(tmp_path)) == before) == kept
