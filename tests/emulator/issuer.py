"""An OIDC issuer on loopback, which signs whatever it is asked to."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.ports import LOOPBACK

KEY_ID = "key-1"


@dataclass(frozen=True)
class Issuer:
    url: str
    key: rsa.RSAPrivateKey

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[Self]:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        server = ThreadingHTTPServer((LOOPBACK, 0), _handler(key))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield cls(f"http://{LOOPBACK}:{server.server_port}", key)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.url, "aud": "gatehouse", "sub": "asha", "exp": now + 600, "iat": now - 1} | changed

    def sign(self, header: Any, claims: Any, algorithm: hashes.HashAlgorithm | None = None) -> str:
        """Return a token with a valid signature over any header and claims, as JSON or as bytes."""
        signed = f"{_segment(header)}.{_segment(claims)}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), algorithm or hashes.SHA256())
        return f"{signed}.{_segment(signature)}"

    def token(self, **changed: Any) -> str:
        return self.sign({"alg": "RS256", "kid": KEY_ID}, self.claims(**changed))


def _segment(value: Any) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _handler(key: rsa.RSAPrivateKey) -> type[BaseHTTPRequestHandler]:
    numbers = key.public_key().public_numbers()
    jwk = {
        "kty": "RSA",
        "kid": KEY_ID,
        "n": _segment(numbers.n.to_bytes(256)),
        "e": _segment(numbers.e.to_bytes(3)),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers["Host"]
            answers: dict[str, Any] = {
                "/.well-known/openid-configuration": {"issuer": f"http://{host}", "jwks_uri": f"http://{host}/keys"},
                "/keys": {"keys": [jwk]},
            }
            content = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
