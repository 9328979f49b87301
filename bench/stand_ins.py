"""What the functions call, on loopback: the secrets extension; over TLS Secrets Manager, SQS, DynamoDB and the Gateway.

They answer as little as the real ones would have to for the call to succeed; SQS answers the checksum that boto3
verifies.
"""

import datetime as dt
import hashlib
import ipaddress
import json
import ssl
import time
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bench.loopback import HOST, LoopbackServer, Request, Response
from local.paths import FUNCTIONS_PYTHON

GATEWAY_SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:Gateway-AbCdEf"  # noqa: S105 - a name
WEBHOOK_SECRET_ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:Webhooks-AbCdEf"  # noqa: S105 - a name
USERNAME, PASSWORD = "bench", "a-password-that-nobody-else-uses"
GATEWAY_API_SECRET = "a-backend-key-of-more-than-32-bytes-for-the-bench"  # noqa: S105 - nobody else's
SECRETS = {
    GATEWAY_SECRET_ARN: {
        "gateway_name": "bench",
        "secret": "a-signing-key-of-more-than-32-bytes-for-the-bench",
        "api_secret": GATEWAY_API_SECRET,
    },
    WEBHOOK_SECRET_ARN: {"broker": {"authentication": [{"type": 1, "username": USERNAME, "password": PASSWORD}]}},
}


class StandIns(NamedTuple):
    """Where they are."""

    extension: LoopbackServer
    secrets_manager: LoopbackServer
    sqs: LoopbackServer
    dynamodb: LoopbackServer
    smallcase: LoopbackServer
    ca_bundle: Path

    def close(self) -> None:
        """Take no more connections."""
        for server in (self.extension, self.secrets_manager, self.sqs, self.dynamodb, self.smallcase):
            server.close()


def start(folder: Path) -> StandIns:
    """Start them; `folder` gets their certificate."""
    tls, bundle = _make_tls(folder)
    return StandIns(
        LoopbackServer(_extension),
        LoopbackServer(_secrets_manager, tls),
        LoopbackServer(_sqs, tls),
        LoopbackServer(_dynamodb, tls),
        LoopbackServer(_smallcase, tls),
        bundle,
    )


def _secret(arn: str) -> bytes:
    value = {"ARN": arn, "Name": "bench", "VersionId": "v" * 32, "SecretString": json.dumps(SECRETS[arn])}
    return json.dumps(value).encode()


_ANSWERS = {arn: _secret(arn) for arn in SECRETS}


def _extension(request: Request) -> Response:
    arn = request.path.rpartition("secretId=")[2].replace("%3A", ":").replace("%2F", "/")
    return Response(_ANSWERS[arn])


def _secrets_manager(request: Request) -> Response:
    return Response(_ANSWERS[json.loads(request.body)["SecretId"]])


def _sqs(request: Request) -> Response:
    body = json.loads(request.body)["MessageBody"].encode()
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return Response(
        json.dumps({"MessageId": "5fea7756-0ea4-451a-a703-a558b933e274", "MD5OfMessageBody": digest}).encode()
    )


def _dynamodb(request: Request) -> Response:
    """Answer a read with a connected user, and a write with success."""
    found = {"Item": {"smallcase_auth_id": {"S": "5f7e9c1b2a3d4e5f60718293"}, "broker": {"S": "kite"}}}
    is_read = request.headers["x-amz-target"].endswith(".GetItem")
    return Response(json.dumps(found if is_read else {}).encode())


def _smallcase(_request: Request) -> Response:
    """Answer with a new transaction."""
    data = {"transactionId": "TRX_5f7e9c1b2a3d4e5f", "expireAt": int((time.time() + 900) * 1000)}
    return Response(json.dumps({"success": True, "data": data}).encode())


def _make_tls(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server's context for 127.0.0.1, and a bundle with which clients trust it.

    The public authorities precede the server's own, so that reading the bundle costs what it does on Lambda.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(_KEY_USAGE, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pair = folder / "server.pem"
    pair.write_bytes(private + pem)
    bundle = folder / "ca-bundle.pem"
    (public,) = FUNCTIONS_PYTHON.parent.parent.glob("lib/python*/site-packages/botocore/cacert.pem")
    bundle.write_bytes(public.read_bytes() + b"\n" + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context, bundle


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
