"""Places for files: how many, of how many bytes, and for how long."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

import models
from core import errors
from jobs import content_types, uploads
from tests import factories
from tests.conftest import Platform
from tests.factories import PAST, SOON


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


def upload(platform: Platform, tenant: UUID, size: int = 1) -> None:
    tier = factories.caller(tenant, max_uploads=2, max_upload_bytes=10).tier
    about = {"filename": None, "content_type": "text/csv", "sha256": None, "expires_s": 600}
    with platform.engine.begin() as connection:
        uploads.create(connection, tenant, tier, size=size, **about)  # type: ignore[arg-type]


@pytest.mark.parametrize("back", [{"used_at": PAST}, {"expires_at": PAST}])
def test_a_tenant_has_no_more_uploads_open_than_its_tier_and_one_that_is_used_or_over_is_not_open(
    platform: Platform, back: dict[str, Any]
) -> None:
    tenant = factories.tenant(platform)
    factories.add(platform, models.Upload, tenant_id=tenant, **back)
    factories.add(platform, models.Upload, tenant_id=factories.tenant(platform))
    for _ in range(2):
        upload(platform, tenant)
    with pytest.raises(errors.UploadQuota) as refused:
        upload(platform, tenant)
    assert refused.value.details == {"limit": 2, "used": 2}


DIGEST = bytes(range(32))
BASE64 = base64.b64encode(DIGEST).decode()


@pytest.mark.parametrize(
    ("sha256", "kept"),
    [(None, None), (DIGEST.hex(), BASE64), (BASE64, BASE64), (f"{BASE64}\n", None), ("g" * 64, None), ("AAAA", None)],
)
def test_the_digest_of_a_file_is_said_in_hex_or_in_base64(
    platform: Platform, sha256: str | None, kept: str | None
) -> None:
    tenant = factories.tenant(platform)
    about: dict[str, Any] = {"filename": None, "content_type": "text/csv", "size": 1, "expires_s": 600}
    tier = factories.caller(tenant).tier
    with platform.engine.begin() as connection:
        if sha256 and not kept:
            with pytest.raises(errors.InvalidInput) as refused:
                uploads.create(connection, tenant, tier, sha256=sha256, **about)
            assert refused.value.details["field"] == "sha256"
            return
        uploads.create(connection, tenant, tier, sha256=sha256, **about)
    assert platform.rows("SELECT sha256 FROM uploads") == [(kept,)]


def test_a_place_waits_for_its_own_tenant_s_alone(platform: Platform) -> None:
    tenant, other = factories.tenant(platform), factories.tenant(platform)
    with platform.admin.begin() as elsewhere:
        elsewhere.execute(text("SELECT FROM tenants WHERE id = :id FOR NO KEY UPDATE"), {"id": other})
        # As large as all of them may be.
        upload(platform, tenant, 10)


@pytest.mark.parametrize(("size", "fits"), [(3, True), (4, True), (5, False)])
def test_a_tenants_uploads_have_no_more_bytes_than_its_tier_used_or_not(
    platform: Platform, size: int, fits: bool
) -> None:
    tenant = factories.tenant(platform)
    factories.add(platform, models.Upload, tenant_id=tenant, size=6, used_at=PAST)
    if fits:
        upload(platform, tenant, size)
        return
    with pytest.raises(errors.UploadQuota) as refused:
        upload(platform, tenant, size)
    assert refused.value.details == {"limit": 10, "used": 6, "size": 5}


@pytest.mark.parametrize(("hours", "there"), [(23, True), (25, False)])
def test_a_file_may_be_used_for_a_day_after_its_address_was_over(platform: Platform, hours: int, there: bool) -> None:
    tenant = factories.tenant(platform)
    over = text(f"now() - interval '{hours} h'")
    made = factories.add(platform, models.Upload, tenant_id=tenant, expires_at=over)["id"]
    platform.store.put(uploads.key(made), b"{}")
    if there:
        assert uploads.use(platform.engine, platform.store, tenant, made).size == 2
        return
    with pytest.raises(errors.UploadNotFound):
        uploads.use(platform.engine, platform.store, tenant, made)


def test_a_file_that_is_used_again_is_kept_for_the_later_job(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    earlier = text("now() - interval '3 h'")
    made = factories.add(platform, models.Upload, tenant_id=tenant, used_at=earlier)["id"]
    platform.store.put(uploads.key(made), b"{}")
    uploads.use(platform.engine, platform.store, tenant, made)
    assert platform.rows("SELECT used_at > now() - interval '1 h' FROM uploads") == [(True,)]


LONG_AGO = text("now() - interval '40 d'")
#: The longest that a job of the tenant may live, in days: what it uses may be needed for so long.
LIVES_D = 3


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"created_at": LONG_AGO, "expires_at": LONG_AGO}, False),
        ({"created_at": LONG_AGO, "expires_at": PAST}, True),
        ({"created_at": LONG_AGO, "expires_at": SOON}, True),
        ({"created_at": LONG_AGO, "expires_at": LONG_AGO, "used_at": PAST}, True),
        ({"created_at": LONG_AGO, "expires_at": LONG_AGO, "used_at": text("now() - interval '71 h'")}, True),
        ({"created_at": LONG_AGO, "expires_at": LONG_AGO, "used_at": text("now() - interval '73 h'")}, False),
    ],
    ids=["unused", "unused, over just now", "open", "used", "used, the job may wait", "used, the job has ended"],
)
def test_an_upload_that_a_waiting_job_uses_is_not_purged_however_old(
    platform: Platform, given: dict[str, Any], kept: bool
) -> None:
    tenant = factories.tenant(platform, max_ttl_s=LIVES_D * 86_400)
    upload = factories.add(platform, models.Upload, tenant_id=tenant, **given)["id"]
    platform.store.put(uploads.key(upload), b"a file")
    assert uploads.purge(platform.engine, platform.store) == int(not kept)
    assert (platform.store.head(uploads.key(upload)) is not None) is kept
    assert len(platform.rows("SELECT FROM uploads")) == int(kept)


def test_uploads_are_purged_in_small_steps(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LIMIT", 2)
    platform.truncate("uploads")
    tenant = factories.tenant(platform)
    for _ in range(3):
        factories.add(platform, models.Upload, tenant_id=tenant, created_at=LONG_AGO, expires_at=LONG_AGO)
    assert [uploads.purge(platform.engine, platform.store) for _ in range(3)] == [2, 1, 0]


ROWS, CSV, GZIP = "application/x-ndjson", "text/csv", "application/gzip"


@pytest.mark.parametrize(
    ("content_type", "filename", "form"),
    [
        *((ROWS, name, "jsonl") for name in (None, "a.jsonl", "a.csv", "a.jsonl.gz")),
        *((CSV, name, "csv") for name in (None, "a.jsonl", "a.csv", "a.csv.gz")),
        *((GZIP, name, None) for name in (None, "a", "a.gz", "csv.gz", "a.csv.zip")),
        *((GZIP, f"a{ending}{gz}", form) for ending, form in uploads.ENDINGS.items() for gz in ("", ".gz", ".GZ")),
        *((kind, None, "jsonl") for kind in content_types.NAMES[ROWS]),
        *((kind, None, "csv") for kind in content_types.NAMES[CSV]),
        ("application/x-gzip", "A.TSV.GZ", "csv"),
        ("audio/wav", "a.wav", None),
        ("of/nobody", "a.csv", "csv"),
    ],
)
def test_how_rows_are_written_is_told_by_the_type_of_a_file_and_where_that_says_nothing_by_its_name(
    platform: Platform, content_type: str, filename: str | None, form: str | None
) -> None:
    tenant = factories.tenant(platform)
    about = {"content_type": content_type, "filename": filename}
    made = factories.add(platform, models.Upload, tenant_id=tenant, **about)["id"]
    platform.store.put(uploads.key(made), b"{}")
    found = uploads.use(platform.engine, platform.store, tenant, made)
    assert found.format == form
    assert found.content_type == (content_types.canonical(content_type) or content_type)


def test_every_ending_of_a_file_of_rows_says_how_they_are_written() -> None:
    assert uploads.ENDINGS == {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
    assert uploads.ROWS == {ROWS: "jsonl", CSV: "csv", GZIP: None}
