"""Receivers on neighbouring ports: the first one never answers, the others say 204 at once and note how late they were
told. `python -m benchmarks.receiver_app PORT COUNT` prints a JSON line for every line of its standard input."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import sys
import time

LATE: dict[int, list[float]] = {}
SEEN: dict[int, set[bytes]] = {}


async def answer(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, hangs: bool) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    body = json.loads(await reader.readexactly(length))
    if hangs:
        await asyncio.sleep(60)
    else:
        ended = dt.datetime.fromisoformat(body["data"]["finished_at"]).timestamp()
        LATE[port].append(time.time() - ended)
        SEEN[port].add(head.split(b"webhook-id: ")[1].split(b"\r\n")[0])
        writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def main(port: int, count: int) -> None:
    for number in range(count):
        mine = port + number
        LATE[mine], SEEN[mine] = [], set()

        async def handle(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mine: int = mine, hangs: bool = number == 0
        ) -> None:
            await answer(mine, reader, writer, hangs=hangs)

        await asyncio.start_server(handle, "127.0.0.1", mine)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps({mine: {"late": LATE[mine], "seen": len(SEEN[mine])} for mine in LATE}), flush=True)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
