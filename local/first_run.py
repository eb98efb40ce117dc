"""One real prediction and one real job through the front door, and what to type next."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import click

ASKED = {"model": "sentiment", "inputs": {"text": "I love this product, it works perfectly!"}}


def show(client: Mapping[str, str]) -> None:
    """Ask the running platform and print its answers; that it will not answer its own key, which may have used up its
    month or have no such model any more, is no failure.

    Raises RuntimeError when the job does not complete and nobody is there who would run it, and what urllib raises when
    nobody answers.
    """
    url = client["COATCHECK_URL"]
    try:
        _demonstrated(url, client["COATCHECK_API_KEY"])
    except urllib.error.HTTPError as error:
        click.echo(f"\nThe example is refused: {_why(error)}")
    grpc = f"gRPC    127.0.0.1:{client['COATCHECK_GRPC_PORT']}\n" if "COATCHECK_GRPC_PORT" in client else ""
    click.echo(
        f"\nAPI     {url}   (docs: {url}/docs)\n{grpc}Flower  $FLOWER_URL, of .coatcheck/env.admin (for operators)\n"
        f"\nTry it:\n\n  . .coatcheck/env\n"
        f'  curl -s "$COATCHECK_URL/api/v1/predict" -H "Authorization: Bearer $COATCHECK_API_KEY" \\\n'
        f"    -H 'Content-Type: application/json' -d '{json.dumps(ASKED)}'\n"
    )


def opens(url: str, key: str) -> bool:
    """Whether this key has not been revoked or run out; raises what urllib raises when nobody answers."""
    try:
        _call(f"{url}/api/v1/models", key)
    except urllib.error.HTTPError as error:
        return error.code != 401
    return True


def _demonstrated(url: str, key: str) -> None:
    answer = _call(f"{url}/api/v1/predict", key, ASKED)
    click.echo(f"\nPOST /api/v1/predict  {json.dumps(answer)}")
    ticket = _call(f"{url}/api/v1/jobs", key, ASKED)
    job = _call(f"{url}/api/v1/jobs/{ticket['job_id']}?wait=30", key)
    click.echo(f"POST /api/v1/jobs     {ticket['job_id']} → {job['status']}  {json.dumps(job.get('result'))}")
    if job["status"] != "completed":
        queue = job.get("queue") or {}
        if queue.get("starts_in_s") is None:
            raise RuntimeError(f"the first job is {job['status']} after 30 s: {json.dumps(job.get('error', queue))}")
        # There was work before this start, and somebody does it.
        click.echo(f"It has not begun after 30 s: {queue['basis']}, at work on what was there before")


def _why(error: urllib.error.HTTPError) -> str:
    """What the platform has against it; raises the error where it has broken down, or somebody else answers."""
    try:
        said = json.load(error)["error"]
        told = f"{said['message']} ({said['code']})"
    except (ValueError, KeyError, TypeError):
        raise error from None
    if error.code == 500:
        raise error
    return told


def _call(url: str, key: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310 - our own loopback address
    # By no proxy of the environment: it would see the key.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        found: dict[str, Any] = json.load(response)
    return found
