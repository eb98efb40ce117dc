"""A private certificate authority for processes that let in nobody but each other (mutual TLS, RFC 8446 section 2)."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.state import write_private

VALID = datetime.timedelta(days=3650)
#: With less than this left, a start makes new ones.
RENEW = datetime.timedelta(days=365)

#: What RFC 5280 asks of an authority, and Python from 3.13 on insists on, as on the names of keys.
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


@dataclass(frozen=True)
class Certificate:
    """Three PEM files: what asks for a certificate of `authority` is opened by `certificate` with `key` alone."""

    authority: Path
    certificate: Path
    key: Path


def ensure(folder: Path) -> Certificate:
    """The certificate in `folder` (0700, files 0600), made anew when it is missing, damaged, or in its last year.

    It is good for both ends of a connection on this machine. The authority's own key is never stored, so there is no
    second one.
    """
    found = Certificate(folder / "ca.pem", folder / "certificate.pem", folder / "key.pem")
    if not _holds(found):
        folder.mkdir(mode=0o700, exist_ok=True)
        _issue(found)
    return found


def _holds(found: Certificate) -> bool:
    """Whether the three belong together and will for long: SeaweedFS lets everybody in when it cannot read them."""
    try:
        authority = x509.load_pem_x509_certificate(found.authority.read_bytes())
        certificate = x509.load_pem_x509_certificate(found.certificate.read_bytes())
        key = load_pem_private_key(found.key.read_bytes(), password=None)
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    ends_at = min(authority.not_valid_after_utc, certificate.not_valid_after_utc)
    return key.public_key() == certificate.public_key() and ends_at - datetime.datetime.now(datetime.UTC) > RENEW


def _issue(found: Certificate) -> None:
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Coatcheck engines")
    authority = (
        _unsigned(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    hosts = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _unsigned(_name("engine"), issuer, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(found.authority, authority.public_bytes(Encoding.PEM).decode())
    write_private(found.certificate, certificate.public_bytes(Encoding.PEM).decode())
    write_private(found.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(days=1),  # a clock may be set back
        not_valid_after=now + VALID,
    )
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
