"""HTTP connections of the command: by the proxy that the environment names, and with an end in plain words."""

from __future__ import annotations

import contextlib
import ssl
import urllib.request
from collections.abc import Iterator

import urllib3
from urllib3 import exceptions
from urllib3.util import Url, make_headers, parse_url

from cli.failures import Failure
from core import hosts

TIMEOUT = urllib3.Timeout(connect=5, read=60)


def pool(url: str, *, kept: int = 1) -> urllib3.PoolManager:
    """Connections to the host of this address, so many of which are kept for the next request.

    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY hold, but what is on this machine is never reached through a proxy:
    it would see the key. Raises Failure for a proxy that is not usable.
    """
    target = parse_url(url)
    proxies, host = urllib.request.getproxies(), target.host or ""
    proxy = proxies.get(target.scheme or "") or proxies.get("all")
    if not proxy or hosts.on_this_machine(host) or urllib.request.proxy_bypass(host):
        return urllib3.PoolManager(maxsize=kept, timeout=TIMEOUT, retries=False)
    try:
        through = parse_url(proxy if "://" in proxy else f"http://{proxy}")
    except exceptions.LocationParseError:
        through = Url()
    if through.scheme not in ("http", "https") or not through.host:
        raise Failure(
            f"The proxy for {host} (of {target.scheme}_proxy or all_proxy) must be an address such as "
            "http://proxy.example:3128",
            code="PROXY",
        )
    headers = make_headers(proxy_basic_auth=through.auth) if through.auth else None
    address = through._replace(auth=None).url
    return urllib3.ProxyManager(address, proxy_headers=headers, maxsize=kept, timeout=TIMEOUT, retries=False)


def origin(url: str) -> str:
    """What may be said of an address: neither user nor query."""
    parts = parse_url(url)
    return Url(scheme=parts.scheme, host=parts.host, port=parts.port).url


@contextlib.contextmanager
def reached(what: str) -> Iterator[None]:
    """Turn what goes wrong on the way into a Failure that names who did not answer, and why."""
    try:
        yield
    except exceptions.HTTPError as error:
        reason, retryable = _why(error)
        raise Failure(f"{what} does not answer: {reason}", code="UNREACHABLE", retryable=retryable) from error


def _why(error: Exception) -> tuple[str, bool]:
    """In words, and whether it may go well the next time."""
    if isinstance(error, exceptions.ProxyError):
        return f"the proxy does not let us through ({_why(error.original_error)[0]})", True
    if isinstance(error, exceptions.SSLError):
        return _why_not_secure(error), False
    if isinstance(error, exceptions.NameResolutionError):
        return "its name leads nowhere", True
    if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(error, exceptions.NewConnectionError):
        return f"no connection within {TIMEOUT.connect_timeout} s", True
    if isinstance(error, exceptions.ReadTimeoutError):
        return f"no answer within {TIMEOUT.read_timeout} s", True
    causes = [error, error.__cause__, *error.args]
    system = next((item for item in causes if isinstance(item, OSError) and item.strerror), None)
    if system is not None:
        return str(system.strerror).lower(), True
    return f"the connection broke ({type(error).__name__})", True


def _why_not_secure(error: exceptions.SSLError) -> str:
    cause = next((item for item in error.args if isinstance(item, ssl.SSLError)), None)
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = f"its certificate is not trusted ({cause.verify_message})"
        return f"{said}; SSL_CERT_FILE names a file with the authority that signed it"
    return "it does not speak TLS; should the address begin with http://?"
