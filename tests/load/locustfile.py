"""The senders, as locust runs them (`locust -f tests/load/locustfile.py --headless`).

Owns how a sender behaves: it sends again, with the same content, until it is answered or runs out of attempts. It
writes down every attempt, and judges nothing.
"""

import os
import time
from collections import deque
from pathlib import Path

import gevent
from locust import FastHttpUser, constant, task
from locust.exception import StopUser

from local.deploy import Endpoint
from tests.load.accounting import Attempt
from tests.load.plan import Delivery, is_final, make_plan

ATTEMPTS = 12
PAUSE_SECONDS = 0.25  # before the second attempt, then twice as long each time
LONGEST_PAUSE_SECONDS = 4.0

PLAN = make_plan(int(os.environ["LOAD_COUNT"]), int(os.environ["LOAD_SEED"]))
WAITING = deque(enumerate(PLAN))
ATTEMPTS_FILE = Path(os.environ["LOAD_ATTEMPTS"]).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115 - until the end
QUEUE_URL = os.environ["LOAD_QUEUE_URL"]
SQS = Endpoint(os.environ["LOAD_AWS_URL"]).client("sqs")
BEGAN = float(os.environ["LOAD_BEGAN"])  # by the clock that all processes of a machine share


class Sender(FastHttpUser):  # type: ignore[misc]  # locust is not where mypy runs
    """Takes one delivery after the other, and sees each through."""

    wait_time = constant(0)
    network_timeout = 30.0  # longer than the function may take
    connection_timeout = 5.0
    through = 0

    @task  # type: ignore[untyped-decorator]  # as above
    def deliver(self) -> None:
        """Send the next delivery."""
        if not WAITING:
            raise StopUser
        number, delivery = WAITING.popleft()
        for attempt in range(ATTEMPTS):
            began = time.monotonic()
            status, answered_id = self._send(delivery)
            seconds = time.monotonic() - began
            ATTEMPTS_FILE.write(Attempt(number, began - BEGAN, seconds, status, answered_id).render())
            if is_final(status):
                break
            gevent.sleep(min(PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS))
        Sender.through += 1
        if Sender.through == len(PLAN):
            self.environment.runner.quit()

    def _send(self, delivery: Delivery) -> tuple[int, str]:
        if not delivery.path:
            SQS.send_message(QueueUrl=QUEUE_URL, MessageBody=delivery.body.decode())
            return 200, ""
        with self.client.post(
            f"/v1/webhooks/{delivery.path}",
            data=delivery.body,
            headers=dict(delivery.headers),
            name=delivery.path if delivery.sort != "forged" else f"forged: {delivery.path}",
            catch_response=True,
        ) as answer:
            status = int(answer.status_code or 0)
            if status == delivery.expected_status:
                answer.success()
            return status, str(answer.json().get("id", "")) if status == 200 else ""
