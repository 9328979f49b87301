"""The queue between the edge and the log (SQS).

Owns one call, SendMessage, signed with botocore and sent with urllib3: a whole boto3 client would cost most of the
edge's cold start. A delivery is acknowledged only after this call has succeeded.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

import json
import logging
import re
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from gatehouse.problems import QueueUnavailable
from gatehouse.settings import AwsIdentity, QueueSettings

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

# Two attempts, each at most 1 + 3 seconds: inside the function's timeout. Sending twice is harmless, because the log
# knows an envelope by its id.
TIMEOUT = urllib3.Timeout(connect=1.0, read=3.0)
RETRIES = urllib3.Retry(
    total=1,
    backoff_factor=0.1,
    status_forcelist=(500, 502, 503, 504),
    allowed_methods=None,
    redirect=0,
    respect_retry_after_header=False,  # it could ask for a pause that outlasts the invocation
)

OK = 200

# An error's code, after the namespace of its shape: `com.amazonaws.sqs#QueueDoesNotExist`.
_ERROR_CODE = re.compile(r"(?:[\w.]+#)?([A-Za-z][A-Za-z.]{0,79})")


class DeliveryQueue(Protocol):
    """Takes messages."""

    def send(self, message: str) -> None:
        """Return when the message is durable. Raises `QueueUnavailable`."""
        ...


class _Credentials:
    """What botocore signs one request with. Importing its own class would cost a tenth of the edge's cold start."""

    __slots__ = ("access_key", "secret_key", "token")

    def __init__(self, identity: AwsIdentity) -> None:
        self.access_key = identity.access_key_id
        self.secret_key = identity.secret_access_key.reveal()
        self.token = identity.session_token.reveal()


class SqsDeliveryQueue:
    """A queue of SQS."""

    def __init__(self, settings: QueueSettings) -> None:
        """Opens no connection yet."""
        self._queue_url = settings.url
        self._identity = settings.identity
        self._endpoint = (settings.endpoint or _origin(settings.url)).rstrip("/") + "/"
        self._http = urllib3.PoolManager(timeout=TIMEOUT, retries=RETRIES, ca_certs=settings.ca_bundle or None)
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)

    def send(self, message: str) -> None:
        """See `DeliveryQueue.send`."""
        body = json.dumps({"QueueUrl": self._queue_url, "MessageBody": message}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}
        request = AWSRequest("POST", self._endpoint, headers=headers, data=body)
        credentials = cast("ReadOnlyCredentials", _Credentials(self._identity))
        SigV4Auth(credentials, "sqs", self._identity.region).add_auth(request)
        try:
            answer = self._http.request("POST", self._endpoint, body=body, headers=dict(request.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise QueueUnavailable(_fault(error)) from None
        if answer.status != OK:
            raise QueueUnavailable(_error_code(answer))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _fault(error: urllib3.exceptions.HTTPError) -> str:
    """Return what went wrong on the way, as a type's name: of the last attempt, where there were several."""
    last = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) else None
    return type(last or error).__name__


def _error_code(answer: urllib3.BaseHTTPResponse) -> str:
    """Return AWS's error code, or the status where the answer has none. Never a message."""
    try:
        code = _ERROR_CODE.fullmatch(json.loads(answer.data)["__type"])
    except (ValueError, LookupError, TypeError, RecursionError):
        code = None
    return code[1] if code else f"status_{answer.status}"
