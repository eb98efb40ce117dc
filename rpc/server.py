"""The process that answers gRPC: so many calls at a time, each within the deadline of its client, and none is cut off
when it is to stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import structlog
from grpc import aio

from core import alive, database, errors, metrics
from core.setting_groups import KEYLESS_THREADS
from core.settings import Settings
from core.tally import Tally
from jobs import presence
from rpc import answering
from rpc.call import Call
from rpc.methods import METHODS, Method
from rpc.visit import Visit
from wiring.door import QUICK, Door

log = structlog.get_logger()

#: A message that has not come by then is not waited for.
MESSAGE_S = 20.0
#: So long the calls that are being answered may take when the process is asked to stop.
GRACE_S = 12.0
#: How often it says that it goes round.
BEAT_S = 1.0
#: Bytes of a call's metadata.
MOST_METADATA = 16_384
#: What one connection may do: so many calls at a time, and pings as often as a client with a minute's timeout needs.
#: Who is silent is asked whether it is there, and who asks nothing for long is let go.
CONNECTION = (
    ("grpc.max_concurrent_streams", 128),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_connection_idle_ms", 900_000),
    ("grpc.max_metadata_size", MOST_METADATA),
    ("grpc.absolute_max_metadata_size", MOST_METADATA),
    # Another process at the same port is a mistake.
    ("grpc.so_reuseport", 0),
)


class Handlers:
    """All methods, each answered by one of so many threads."""

    def __init__(self, door: Door) -> None:
        self._door, self._threads = door, door.settings.api.threads
        self._pool = ThreadPoolExecutor(self._threads, "rpc")
        self._working = 0
        self._waiting: dict[asyncio.Timeout, None] = {}  #: those whose messages have not come, the oldest first

    def services(self) -> list[grpc.GenericRpcHandler[Any, Any]]:
        """As gRPC takes them, which answers anything else by UNIMPLEMENTED."""
        return [
            grpc.method_handlers_generic_handler(name, {method.name: self._handler(method) for method in methods})
            for name, methods in METHODS.items()
        ]

    def _handler(self, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        async def answered(requests: AsyncIterator[bytes], context: Any) -> bytes:
            return await self._answered(method, requests, context)

        # As a stream of one message, which is the same on the wire: how long to wait for it is then ours to say.
        return grpc.stream_unary_rpc_method_handler(answered)

    def close(self) -> None:
        """Wait for what is being answered."""
        self._pool.shutdown(cancel_futures=True)

    async def _answered(self, method: Method, requests: AsyncIterator[bytes], context: Any) -> bytes:
        began, trusted = time.perf_counter(), self._door.settings.http.trusted_proxies
        call = Call.of(context.invocation_metadata(), context.peer(), context.time_remaining(), trusted)
        code = grpc.StatusCode.CANCELLED  # also where its client's deadline has passed
        try:
            found = await self._worked(method, call, requests)
            code = found.code
        finally:
            metrics.CALLS.labels(method.name, code.name).inc()
            metrics.CALL_SECONDS.labels(method.name).observe(time.perf_counter() - began)
        if found.code is answering.OK:
            context.set_trailing_metadata(found.told)
            return found.data
        await context.abort(found.code, found.details, found.told)
        raise AssertionError  # abort has raised

    async def _worked(self, method: Method, call: Call, requests: AsyncIterator[bytes]) -> answering.Answer:
        """By a thread, of which some are left for what needs no key."""
        try:
            working = self._begun(method, call, await self._message(requests))
        except errors.Busy as error:
            return answering.refused(self._door, Visit(self._door, call, method.scopes), error)
        except errors.MalformedRequest as error:
            # Booked by a thread: Redis may be asked how much its caller has left.
            visit = Visit(self._door, call, method.scopes)
            try:
                return await asyncio.to_thread(answering.refused, self._door, visit, error)
            except RuntimeError:  # there may be no thread more
                return answering.refused(self._door, visit, errors.Busy())
        try:
            # Whose client has gone goes on until it notices, and counts until then.
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            call.gone.set()
            raise

    def _begun(self, method: Method, call: Call, data: bytes) -> asyncio.Future[answering.Answer]:
        """Raises Busy."""
        if self._working >= self._threads - (KEYLESS_THREADS if method.scopes else 0):
            raise errors.Busy
        try:
            working = asyncio.get_running_loop().run_in_executor(
                self._pool, answering.answer, self._door, method, call, data
            )
        except RuntimeError as error:
            # There may be no thread more. It waits for one of those that there are, and is wanted by nobody then.
            call.gone.set()
            raise errors.Busy from error
        self._working += 1
        working.add_done_callback(self._done)
        return working

    def _done(self, _: object) -> None:
        self._working -= 1

    async def _message(self, requests: AsyncIterator[bytes]) -> bytes:
        """Raises MalformedRequest where none comes in time, and Busy where it is the oldest that has not come of more
        than there are threads: whoever sends nothing, perhaps without a key, takes nobody's place."""
        patience = asyncio.timeout(MESSAGE_S)
        try:
            async with patience:
                self._waiting[patience] = None
                if len(self._waiting) > self._threads:
                    self._let_go(next(iter(self._waiting)))
                return await anext(requests)
        except (TimeoutError, StopAsyncIteration) as error:
            if patience not in self._waiting:
                raise errors.Busy from error
            raise errors.MalformedRequest("No message, or none in time") from error
        finally:
            self._waiting.pop(patience, None)

    def _let_go(self, oldest: asyncio.Timeout) -> None:
        del self._waiting[oldest]
        if not oldest.expired():
            oldest.reschedule(0)


def made(settings: Settings, handlers: Handlers) -> aio.Server:
    """A server that is not started yet, and listens nowhere."""
    size = [("grpc.max_receive_message_length", settings.http.max_body_bytes)]
    return aio.server(
        handlers=handlers.services(),
        options=[*CONNECTION, *size],
        # Those that are being answered, and as many whose messages are still coming.
        maximum_concurrent_rpcs=2 * settings.api.threads,
    )


def listen(server: aio.Server, address: str, certificate: Path | None, key: Path | None) -> int:
    """With TLS where there is a certificate and its key; returns the port. Raises SettingsInvalid."""
    try:
        if certificate is None or key is None:
            return server.add_insecure_port(address)
        pair = (key.read_bytes(), certificate.read_bytes())
        return server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    except RuntimeError as error:
        raise errors.SettingsInvalid(f"COATCHECK_GRPC_PORT: nobody can listen on {address}; is it taken?") from error


async def run(settings: Settings, host: str, alive_file: str | None) -> None:
    """Answer until SIGTERM or SIGINT, and then until what was asked by then is answered."""
    door = Door(settings, application="coatcheck-grpc", limits=QUICK)
    handlers = Handlers(door)
    server, http = made(settings, handlers), settings.http
    listen(server, f"{host}:{settings.grpc.port}", http.tls_certificate, http.tls_key)
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await server.start()
    tally = Tally(metrics.OF_ALL + metrics.OF_GRPC, "grpc")
    tell = functools.partial(tally.tell, door.engine)
    threading.Thread(target=presence.always, args=(tell,), name="tally", daemon=True).start()
    log.info("grpc_serves", port=settings.grpc.port)
    while not stopping.is_set():
        alive.beat(alive_file)
        try:
            async with asyncio.timeout(BEAT_S):
                await stopping.wait()
        except TimeoutError:
            continue
    await server.stop(GRACE_S)
    handlers.close()
    with contextlib.suppress(*database.OUTAGES):
        tell()
    door.close()
