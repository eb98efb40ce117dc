"""Publishing over HTTP, for who has a key and nothing else: a laptop, or CI."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from cli.answers import completed, progress_bar, watch
from cli.failures import Failure
from cli.remote import Remote
from cli.upload import upload
from core import errors
from inference import bundle
from inference.bundle import Bundle
from jobs import uploads


def remote() -> Remote | None:
    """The platform, where an address and a key of it are set and its database is not; raises UsageError."""
    there = any(os.environ.get(name) for name in ("COATCHECK_URL", "COATCHECK_API_KEY"))
    return Remote.from_environment() if there and not os.environ.get("DATABASE_URL") else None


def publish(remote: Remote, loaded: Bundle, *, stable: bool) -> tuple[bool, str]:
    """Whether it is new, and the version that answers by default; raises BundleInvalid, Failure."""
    try:
        job = _handed_in(remote, loaded, stable=stable)
    except Failure as error:
        if error.code != errors.Forbidden.code:
            raise
        said = f"{error.message}; `coatcheck keys create --models`, an operator's command, makes one that does"
        raise Failure(said, code=error.code, details=error.details) from error
    refusal = job.get("error") or {}
    if refusal.get("code") == errors.BundleInvalid.code:
        raise errors.BundleInvalid(refusal["message"], details=refusal.get("details"))
    completed(job)
    name, found = loaded.manifest.name, job["result"]
    if found["stable"]:
        return found["new"], loaded.manifest.version
    # What answers instead was there before, so that it is known everywhere.
    return found["new"], remote.get(f"/models/{name}", "stable_version")["stable_version"]


def _handed_in(remote: Remote, loaded: Bundle, *, stable: bool) -> dict[str, Any]:
    """The job, as it ended."""
    name, version = loaded.manifest.name, loaded.manifest.version
    with progress_bar() as progress, tempfile.TemporaryFile() as file:
        bundle.write(loaded, file)
        size = file.tell()
        file.seek(0)
        upload_id = upload(
            remote,
            file,
            progress,
            size=size,
            kind=uploads.BUNDLE,
            filename=f"{name}-{version}.tar",
            shown=str(loaded.folder),
        )
        asked = {"model": name, "version": version, "upload_id": upload_id, "stable": stable}
        return watch(remote, remote.post("/models", "job_id", body=asked)["job_id"], progress)
