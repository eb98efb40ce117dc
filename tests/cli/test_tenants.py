"""`coatcheck tenants`, `tiers`, and what `keys create` and `models stable` say of what they change and what not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from access import keys as access_keys
from local import seaweedfs
from storage.objects import Store
from tests.cli.conftest import Done, Run
from tests.conftest import Platform

GIVEN = ("DATABASE_URL", "S3_ENDPOINT_URL", "S3_ACCESS_KEY", "S3_SECRET_KEY")


class Operator:
    """Runs commands with an operator's settings."""

    def __init__(self, run: Run, platform: Platform) -> None:
        self._run = run
        self._env = {name: value for name, value in platform.engines.env.items() if name in GIVEN}

    def __call__(self, *words: str) -> Done:
        return self._run(*words, **self._env)

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)


@pytest.fixture
def operator(run: Run, platform: Platform) -> Operator:
    return Operator(run, platform)


@pytest.fixture
def tenant() -> str:
    return f"acme & co {uuid.uuid4()}"


@pytest.fixture
def tier(platform: Platform) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:8]}"
    yield name
    platform.execute("UPDATE tenants SET tier = 'free' WHERE tier = :name", name=name)
    platform.execute("DELETE FROM tiers WHERE name = :name", name=name)


def test_a_tenant_is_made_listed_and_given_another_tier(operator: Operator, tenant: str, platform: Platform) -> None:
    assert operator("tenants", "create", tenant).out == f"{tenant} is a tenant of tier free\n"
    key = operator("keys", "create", "--tenant", tenant, "--name", "web").out.strip()
    (listed,) = [item for item in operator.json("tenants", "list") if item["name"] == tenant]
    assert (listed["tier"], listed["keys"]) == ("free", 1)
    head, *_ = operator("tenants", "list").out.splitlines()
    assert head.split() == ["tenant", "tier", "keys", "created"]
    assert operator("tenants", "change", tenant, "--tier", "pro").out == f"{tenant} is pro now, and was free\n"
    assert access_keys.Keyring(platform.engine).verify(key).tier.name == "pro"
    assert (
        operator("tenants", "change", tenant, "--tier", "pro").out == f"{tenant} is pro already; nothing was changed\n"
    )
    assert operator.json("tenants", "change", tenant, "--tier", "free") == {
        "name": tenant, "tier": "free", "before": "pro"
    }  # fmt: skip
    for words, said in (
        (("tenants", "create", tenant), f"There is a tenant {tenant!r} already"),
        (("tenants", "change", "nobody", "--tier", "pro"), "There is no tenant 'nobody'"),
        (("tenants", "change", tenant, "--tier", "gold"), "(received: gold)"),
        (
            ("tenants", "create", f"{tenant} "),
            "name must be 1 to 100 printable characters, with no space at either end",
        ),
        (("tenants", "create", "x" * 101), "name must be 1 to 100"),
        (("tenants", "create", "\x1b[2J"), "name must be 1 to 100"),
    ):
        done = operator(*words)
        assert (done.code, done.out, said in done.err) == (1, "", True), done.err


def test_a_tenant_is_shown_with_its_month_and_what_it_was_given(operator: Operator, tenant: str) -> None:
    operator("tenants", "create", tenant)
    operator("adjust", tenant, "--units", "5000", "--reason", "made good")
    operator("adjust", tenant, "--units", "-70", "--reason", "less of it")
    head, row = operator("tenants", "show", tenant).out.splitlines()
    assert (head.split()[-3:], row.split()[-3:]) == (["units", "this", "month"], ["-4,930", "of", "1,100,000"])
    shown = operator.json("tenants", "show", tenant)
    assert (shown["name"], shown["tier"], shown["keys"]) == (tenant, "free", 0)
    assert (shown["month"]["limit"], shown["month"]["most"], shown["month"]["used"]) == (1_000_000, 1_100_000, -4930)
    operator("tenants", "change", tenant, "--tier", "pro")
    assert operator("tenants", "show", tenant).out.endswith("-4,930\n")
    listed = operator.json("tenants", "adjustments", tenant)
    assert [(item["units"], item["reason"]) for item in listed] == [(-70, "less of it"), (5000, "made good")]
    head, *rows = operator("tenants", "adjustments", tenant, "--limit", "1").out.splitlines()
    assert (head.split(), len(rows), rows[0].split()[1]) == (["month", "units", "reason", "given"], 1, "-70")


def test_a_tier_is_shown_a_limit_a_line(operator: Operator) -> None:
    told = dict(line.split(maxsplit=1) for line in operator("tiers", "show", "free").out.splitlines()[1:])
    (free,) = [row for row in operator.json("tiers", "list") if row["name"] == "free"]
    assert told.keys() == free.keys()
    assert (told["priorities"], told["monthly_units"]) == ("normal,low", "1000000")
    assert operator.json("tiers", "show", "free") == free


def test_who_changed_what_is_told_newest_first(operator: Operator, tenant: str, tier: str) -> None:
    operator("tenants", "create", tenant)
    key = operator.json("keys", "create", "--tenant", tenant, "--name", "wéb")["id"]
    operator("tenants", "change", tenant, "--tier", "pro")
    found = operator.json("audit", "--tenant", tenant)
    assert [item["action"] for item in found] == ["tenant.change", "key.create", "tenant.create"]
    assert {(item["actor"].partition(":")[0], item["address"]) for item in found} == {("cli", None)}
    head, row = operator("audit", "--subject", f"tenant:{tenant}", "--limit", "1").out.splitlines()
    assert head.split() == ["at", "actor", "address", "action", "subject", "tenant", "before", "after"]
    assert row.endswith('{"tier": "free"}  {"tier": "pro"}')
    # What was made had nothing before, and nothing is said of that.
    *_, first = operator("audit", "--subject", f"tenant:{tenant}").out.splitlines()
    assert "tenant.create" in first
    assert "null" not in first
    assert '"wéb"' in operator("audit", "--subject", f"key:{key}").out
    assert [item["action"] for item in operator.json("audit", "--subject", f"key:{key}")] == ["key.create"]
    assert operator.json("audit", "--subject", f"key:{key}", "--action", "key.revoke") == []
    assert operator.json("audit", "--actor", "nobody") == []
    # What is nobody's, and was done from nowhere, has nothing there.
    assert operator("tiers", "create", tier).code == 0
    row = operator("audit", "--subject", f"tier:{tier}").out.splitlines()[1]
    assert (row.split()[3:5], "None" in row) == (["tier.create", f"tier:{tier}"], False)


def test_whoever_ends_the_last_key_that_administers_is_told_how_to_make_one(
    operator: Operator, tenant: str, platform: Platform
) -> None:
    made = [operator.json("keys", "create", "--tenant", tenant, "--name", "me", "--admin")["id"] for _ in range(2)]
    others = platform.rows(
        "SELECT id, scopes FROM api_keys WHERE 'admin' = ANY (scopes) AND id <> ALL (:ids)", ids=made
    )
    for row in others:
        platform.execute("UPDATE api_keys SET scopes = '{}' WHERE id = :id", id=row.id)
    try:
        assert operator("keys", "revoke", made[0]).err == ""
        assert "`coatcheck keys create --admin` makes one" in operator("keys", "revoke", made[1]).err
        plain = operator.json("keys", "create", "--tenant", tenant, "--name", "web")["id"]
        assert operator("keys", "revoke", plain).err == ""
    finally:
        for row in others:
            platform.execute("UPDATE api_keys SET scopes = :scopes WHERE id = :id", id=row.id, scopes=row.scopes)


def test_a_key_of_another_tier_is_not_made_and_the_command_that_changes_it_is_named(
    operator: Operator, tenant: str, platform: Platform
) -> None:
    made = operator("keys", "create", "--tenant", tenant, "--name", "web", "--tier", "pro")
    assert made.err == f"Made the tenant {tenant!r} as well, of tier pro\n"
    refused = operator("keys", "create", "--tenant", tenant, "--name", "night", "--tier", "free")
    assert (refused.code, refused.out) == (1, "")
    assert f"coatcheck tenants change '{tenant}' --tier free" in refused.err
    kept = "SELECT tier, (SELECT count(*) FROM api_keys WHERE tenant_id = tenants.id) FROM tenants WHERE name = :name"
    assert tuple(platform.one(kept, name=tenant)) == ("pro", 1)
    for more in ((), ("--tier", "pro")):
        done = operator("keys", "create", "--tenant", tenant, "--name", "night", *more)
        assert (done.code, done.err) == (0, "")
    unknown = operator("keys", "create", "--tenant", "never", "--name", "x", "--tier", "gold")
    assert unknown.err.startswith("Error: Input validation failed: tier must be one of anonymous, ")
    assert unknown.err.endswith(" (received: gold)\n")
    assert platform.rows("SELECT FROM tenants WHERE name = 'never'") == []


def test_a_made_key_is_told_as_it_is_listed(operator: Operator, tenant: str) -> None:
    made = operator.json("keys", "create", "--tenant", tenant, "--name", "web", "--admin")
    (listed,) = operator.json("keys", "list", "--tenant", tenant)
    assert isinstance(made, dict)
    assert made == {"key": made["key"], **listed}
    assert made["scopes"] == sorted({*access_keys.CLIENT, "admin"})
    ended = operator.json("keys", "revoke", made["id"])
    assert isinstance(ended, dict)
    assert (ended["was_revoked"], ended["revoked_at"] is None) == (False, False)
    again = operator.json("keys", "revoke", made["id"])
    assert again == {**ended, "was_revoked": True}


def test_a_tier_is_a_copy_and_a_change_says_what_was(operator: Operator, tier: str) -> None:
    made = operator.json("tiers", "create", tier, "--like", "pro", "--max-pending", "5", "--priorities", "low,normal")
    (pro,) = [row for row in operator.json("tiers", "list") if row["name"] == "pro"]
    assert made == {**pro, "name": tier, "max_pending": 5, "priorities": ["low", "normal"]}
    assert operator("tiers", "change", tier, "--pace", "2.5", "--max-pending", "5").out == (
        f"{tier} pace: 2.5, and was 500\n{tier} max_pending: 5, as before\n"
    )
    assert operator.json("tiers", "change", tier, "--keep-s", "60") == {
        "tier": {**made, "pace": 2.5, "keep_s": 60}, "before": {**made, "pace": 2.5}
    }  # fmt: skip
    assert operator("tiers", "change", tier).code == 2


@pytest.mark.parametrize(
    ("option", "value"),
    [("--pace", "0"), ("--pace", "nan"), ("--pace", "inf"), ("--pace", "1e-9"), ("--max-running", "0"),
     ("--max-pending", "2147483648"), ("--max-ttl-s", "-5"), ("--keep-s", "0"), ("--max-uploads", "-1"),
     ("--max-upload-bytes", str(2**63)), ("--priorities", "high,low"), ("--priorities", "normal,normal"),
     ("--priorities", "normal,urgent")],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused_by_its_name(
    operator: Operator, tier: str, option: str, value: str, platform: Platform
) -> None:
    done = operator("tiers", "create", tier, option, value)
    assert (done.code, done.out) == (1, "")
    assert f"{option[2:].replace('-', '_')} must be " in done.err
    assert platform.rows("SELECT FROM tiers WHERE name = :name", name=tier) == []


@pytest.mark.parametrize("name", ["free", "two words", "x" * 41, "é", "\x1b"])
def test_a_name_that_no_tier_can_have_is_refused(operator: Operator, name: str) -> None:
    done = operator("tiers", "create", name)
    assert (done.code, done.out) == (1, "")
    assert operator("tiers", "change", "nothing", "--pace", "1").err == "Error: There is no tier 'nothing'\n"


@pytest.mark.parametrize("limit", ["pace", "unit_price"])
def test_a_tier_may_have_less_than_one_a_second_and_a_unit_may_cost_less_than_one(
    operator: Operator, tier: str, limit: str
) -> None:
    option = f"--{limit.replace('_', '-')}"
    assert float(operator.json("tiers", "create", tier, option, "0.5")[limit]) == 0.5
    assert float(operator.json("tiers", "change", tier, option, "0.25")["tier"][limit]) == 0.25


@pytest.fixture
def stable(platform: Platform) -> Iterator[None]:
    yield
    platform.execute("UPDATE models SET stable_version = '1.0.0' WHERE name = 'sentiment'")


def test_another_version_is_made_stable_and_back_without_its_folder(
    operator: Operator, stable: None, platform: Platform
) -> None:
    done = operator("models", "stable", "sentiment", "2.1.0")
    assert (done.code, done.out) == (0, "sentiment 2.1.0 is stable now; it was 1.0.0\n")
    platform.catalog._forget()
    assert platform.catalog.resolve("sentiment", None).version == "2.1.0"
    listed = operator.json("models", "list")
    assert [item["version"] for item in listed if item["model"] == "sentiment" and item["stable"]] == ["2.1.0"]
    assert operator("models", "stable", "sentiment", "2.1.0").out == (
        "sentiment 2.1.0 is stable already; nothing was changed\n"
    )
    assert operator.json("models", "stable", "sentiment", "1.0.0") == {
        "model": "sentiment", "version": "1.0.0", "before": "2.1.0"
    }  # fmt: skip
    for words, said in (
        (("sentiment", "9"), "version sentiment has: 1.0.0, 2.1.0"),
        (("nothing", "1.0.0"), "There is no model 'nothing'"),
    ):
        refused = operator("models", "stable", *words)
        assert (refused.code, refused.out, said in refused.err) == (1, "", True)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_the_store_of_this_machine_is_reached_whatever_proxy_the_environment_names(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    store = Store(platform.settings.storage)
    store.put("proxied", b"no")
    assert store.get("proxied") == b"no"
    assert seaweedfs.s3_ready(platform.engines.env)
