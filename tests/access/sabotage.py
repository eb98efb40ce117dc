"""The limits, checked: whichever is taken away, a test says so. Minutes long, and not part of the suite:
`./run test tests/access/sabotage.py`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.sabotage import Sabotage
from tests.conftest import ROOT

_GATE, _RATES, _LIMITS = "access/gate.py", "tests/access/test_gate.py", "tests/api/test_rate_limits.py"

#: What is taken away → its words, what stands in their place, and which tests must fail.
CASES = {
    "requests": (Sabotage(_GATE, "self._take(caller.tier.requests, caller, 1)", "pass"), _LIMITS),
    "units": (Sabotage(_GATE, "            self._take(caller.tier.units, caller, units)\n", ""), _LIMITS),
    "month": (Sabotage(_GATE, "            self._check_month(caller, units)\n", ""), _RATES),
    "units before the body": (
        Sabotage(_GATE, "self._rates.look_ahead(caller.tier.units, caller.party)", "pass"),
        _LIMITS,
    ),
    "month before the body": (Sabotage(_GATE, "self._month.look_ahead(caller)", "pass"), _LIMITS),
    "slowed": (Sabotage(_GATE, "if share < 1.0:", "if False:"), _RATES),
    "blocked": (Sabotage("api/conduct.py", "conduct.enter(caller.subject)\n", "pass\n"), "tests/api/test_conduct.py"),
    "month of a file": (
        Sabotage(
            "jobs/kinds/bulk.py", "quota.judge(tools.engine, mine.job.tenant_id, units * rows, counted=units)", "pass"
        ),
        "tests/bulk/test_quota.py",
    ),
    "places": (
        Sabotage("api/admission.py", "    g.leave = places.take(caller.tenant_id)\n", ""),
        "tests/api/test_places.py",
    ),
    "size of a body": (
        Sabotage("api/__init__.py", '    app.config["MAX_CONTENT_LENGTH"] = values.http.max_body_bytes\n', ""),
        "tests/api/test_limits.py tests/api/test_bodies.py",
    ),
    "open uploads": (
        Sabotage("jobs/uploads.py", "if used.open >= tier.max_uploads:", "if False:"),
        "tests/jobs/test_uploads.py",
    ),
    "bytes of uploads": (
        Sabotage("jobs/uploads.py", "if used.bytes + size > tier.max_upload_bytes:", "if False:"),
        "tests/jobs/test_uploads.py",
    ),
    "waiting jobs": (
        Sabotage("jobs/submit.py", "if self._backlog.admit(place.tenant_id, place.tier.max_pending):", "if False:"),
        "tests/api/test_job_life.py",
    ),
    "running jobs": (
        Sabotage("jobs/claim.py", "WHERE jobs >= max_running", "WHERE false"),
        "tests/jobs/test_limits.py",
    ),
    "a key's models": (
        Sabotage("access/bounds.py", "if self.models is not None and model not in", "if False and model not in"),
        "tests/access/test_bounds.py",
    ),
    "a key's networks": (
        Sabotage("access/keys.py", "        caller.bounds.check_address(address)\n", ""),
        "tests/access/test_keys.py",
    ),
    "a key's end": (
        Sabotage("access/keys.py", ' AND (expires_at > now()) IS NOT FALSE"\n', '"\n'),
        "tests/access/test_keys.py",
    ),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", CASES)
def test_without_a_limit_a_test_fails(tmp_path: Path, name: str) -> None:
    sabotage, tests = CASES[name]
    copy = tmp_path / "copy"
    shutil.copytree(
        ROOT,
        copy,
        symlinks=True,
        ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".coatcheck", ".*_cache", ".coverage*"),
    )
    sabotage.do(copy)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests.split()]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    print(done.stdout[-3000:])
    assert done.returncode == 1
    assert "\nFAILED " in done.stdout
