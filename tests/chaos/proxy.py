"""A TCP proxy that misbehaves on request, between the platform and one engine."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

CHUNK = 65_536
#: How the API names itself to Postgres; workers commit signs of life all the time.
API = "coatcheck-api"
#: How a client of Postgres names itself in its first words.
_NAME = re.compile(rb"application_name\0([^\0]+)\0")


@dataclass(eq=False)
class Held:
    """What a client has said and the engine has not heard yet."""

    speaker: str  #: the client's application_name
    passes: bool | None = None

    def let_go(self) -> None:
        self.passes = True

    def drop(self) -> None:
        """It never arrives; the connection is reset."""
        self.passes = False

    @property
    def pid(self) -> int:
        """Of the process that said it, which names itself `coatcheck-… PID`."""
        return int(self.speaker.rpartition(" ")[2])


class Proxy:
    """Forwards `port` to `upstream`; safe to steer from any thread."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self._upstream = upstream
        self.delay_s = 0.0  #: before every chunk, both ways
        self.hole = False  #: connections stay open and nothing passes
        self.shut = False  #: new connections are reset
        self.catch: bytes | None = None  #: what a client says with this in it is held
        self.held: list[Held] = []
        self.deaf_after: Sequence[bytes] = ()  #: when one connection of the API has said this, it hears nothing more
        self.heard = threading.Event()  #: `deaf_after` was said
        self._writers: set[asyncio.StreamWriter] = set()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        self._started.wait(5)

    def cut(self) -> None:
        """Reset every open connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def heal(self) -> None:
        self.delay_s, self.hole, self.shut, self.deaf_after = 0.0, False, False, ()
        self.let_go()
        self.heard.clear()
        self.cut()

    def let_go(self) -> None:
        """Catch nothing more; what is still held arrives."""
        self.catch = None
        for held in self.held:
            if held.passes is None:
                held.let_go()
        self.held.clear()

    def close(self) -> None:
        self.heal()
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._started.set()
        await self._closing.wait()
        server.close()
        self._cut()
        await asyncio.sleep(0.1)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.shut:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        deaf = asyncio.Event()
        name, said = "", 0

        async def listen(chunk: bytes) -> None:
            nonlocal name, said
            if found := _NAME.search(chunk):
                name = found[1].decode()
            if self.catch and self.catch in chunk:
                await self._hold(Held(name))
            if name.startswith(API):
                while said < len(self.deaf_after) and self.deaf_after[said] in chunk:
                    said += 1
            if 0 < len(self.deaf_after) == said:
                deaf.set()
                self.heard.set()

        async def say(_: bytes) -> None:
            while deaf.is_set():
                await asyncio.sleep(0.05)

        await asyncio.gather(self._pipe(reader, back, listen), self._pipe(there, writer, say))
        self._writers -= {writer, back}

    async def _hold(self, held: Held) -> None:
        self.held.append(held)
        while held.passes is None:
            await asyncio.sleep(0.02)
        if not held.passes:
            raise ConnectionAbortedError

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, before: Callable[[bytes], Awaitable[None]]
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await before(chunk)
                while self.hole:
                    await asyncio.sleep(0.05)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()
