"""The page of the contract in a browser: with a key, what it offers to try are the models that are there."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
import websockets

from tests import callers
from tests.cli.conftest import served
from tests.conftest import Platform, until

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
#: Each with what it is answered.
ROUTES = {"predict": "prediction", "predictBatch": "predictions", "createJob": "job_id"}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no browser")


class Page:
    """A tab, asked by the DevTools protocol."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def says(self, script: str) -> Any:
        asked = {"expression": script, "returnByValue": True}
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": asked}))
        while (told := json.loads(await self._socket.recv())).get("id") != number:
            pass
        return told["result"]["result"].get("value")

    async def until(self, script: str) -> Any:
        ends_at = time.monotonic() + 60
        while not (found := await self.says(script)):
            assert time.monotonic() < ends_at, script
            await asyncio.sleep(0.05)
        return found

    async def click(self, selector: str) -> None:
        await self.until(f"!!document.querySelector({json.dumps(selector)})")
        await self.says(f"document.querySelector({json.dumps(selector)}).click()")

    async def write(self, selector: str, text: str) -> None:
        await self.until(f"!!document.querySelector({json.dumps(selector)})")
        await self.says(
            f"{{ const field = document.querySelector({json.dumps(selector)});"
            f"Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, {json.dumps(text)});"
            "field.dispatchEvent(new Event('input', {bubbles: true})) }"
        )


@pytest.fixture(params=["/docs", "/docs?v2"])
def address(app: flask.Flask, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a browser that shows the page is asked."""
    with served(app) as url:
        browser = subprocess.Popen(
            [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             f"--user-data-dir={tmp_path}", f"{url}{request.param}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            told = tmp_path / "DevToolsActivePort"
            until(lambda: told.exists() and len(told.read_text().splitlines()) == 2)
            yield told.read_text().splitlines()[0]
        finally:
            browser.terminate()
            browser.wait(60)


async def tried(port: str, key: str) -> dict[str, dict[str, Any]]:
    """What the page offers for each route, and what the first of it is answered."""

    def tabs() -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=10) as answer:
            return [tab for tab in json.load(answer) if tab["type"] == "page"]

    found: dict[str, dict[str, Any]] = {}
    async with websockets.connect(until(tabs)[0]["webSocketDebuggerUrl"], max_size=None) as socket:
        page = Page(socket)
        await page.click(".auth-wrapper .authorize")
        await page.write(".modal-ux input", key)
        await page.click(".modal-ux button.authorize")
        await page.click(".modal-ux .close-modal")
        # What somebody has begun to write is left to them.
        await page.until("JSON.stringify(ui.specSelectors.specJson()).includes('mean_radius')")
        for route in ROUTES:
            here = f"[id$='-{route}']"
            await page.click(f"{here} .opblock-summary-control")
            await page.click(f"{here} .try-out__btn")
            await page.click(f"{here} .execute")
            answer = await page.until(
                f'document.querySelector("{here} .live-responses-table .highlight-code code")?.innerText'
            )
            options = await page.says(
                f'[...document.querySelectorAll("{here} .examples-select option")].map(o => o.value)'
            )
            found[route] = {"options": options, "answer": json.loads(answer)}
    return found


SHIPPED = ["sentiment", "tumor", "speech"]


def test_with_a_key_the_page_offers_the_models_that_are_there_and_what_it_offers_is_answered(
    platform: Platform, address: str
) -> None:
    # What other tests have left behind would be offered first.
    platform.execute("DELETE FROM models WHERE name <> ALL (CAST(:shipped AS text[]))", shipped=SHIPPED)
    until(lambda: platform.catalog.versions() and {item.model for item in platform.catalog.versions()} == {*SHIPPED})
    found = asyncio.run(tried(address, callers.key(platform).token))
    for route, said in ROUTES.items():
        assert found[route]["options"][:2] == ["sentiment", "tumor"]
        assert "speech" not in found[route]["options"]
        assert said in found[route]["answer"], found[route]
        assert "sentiment" in str(found[route]["answer"]["model"])
