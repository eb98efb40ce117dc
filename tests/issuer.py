"""An issuer of tokens (OpenID Connect) on this machine, which signs as it is told and can go away."""

from __future__ import annotations

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_WRITTEN: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def made(algorithm: str) -> Private:
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


class Issuer:
    """It listens until it is stopped; `listed` is what its key set says, `asked` how often it was read."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.issuer = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/login/"
        self.answers: dict[str, tuple[int, bytes]] = {}  #: by path, in the place of its own
        self.asked = 0
        self.listed: list[dict[str, Any]] = []
        self.private: dict[str, Private] = {}
        self.kid = self.sign_by(made("ES256"))
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def sign_by(self, private: Private, algorithm: str = "ES256", **more: Any) -> str:
        """From now on tokens are signed by this key, and it alone is listed; returns its id."""
        self.kid, self.algorithm = uuid.uuid4().hex, algorithm
        self.private[self.kid] = private
        listed = json.loads(_WRITTEN[algorithm].to_jwk(private.public_key()))
        self.listed = [{**listed, "kid": self.kid, **more}]
        return self.kid

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A good one, but for what is said otherwise; what is None is left out."""
        now = int(time.time())
        good = {"iss": self.url, "aud": "coatcheck", "sub": uuid.uuid4().hex, "exp": now + 300, "scope": "jobs predict"}
        said = {name: value for name, value in {**good, **claims}.items() if value is not None}
        head = {name: value for name, value in {"kid": self.kid, **(headers or {})}.items() if value is not None}
        return jwt.encode(said, self.private[self.kid], self.algorithm, head)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        issuer: Issuer = self.server.issuer  # type: ignore[attr-defined]
        about = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}keys"}
        own = {
            "/login/.well-known/openid-configuration": about,
            "/login/keys": {"keys": issuer.listed},
        }
        issuer.asked += self.path == "/login/keys"
        given = json.dumps(own[self.path]).encode() if self.path in own else b"{}"
        status, body = issuer.answers.get(self.path, (200 if self.path in own else 404, given))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
