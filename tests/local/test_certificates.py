from __future__ import annotations

from pathlib import Path

import pytest

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
