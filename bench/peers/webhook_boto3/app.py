"""A webhook with boto3 for Secrets Manager and SQS: Basic authentication, then the queue."""

import base64
import hmac
import json
import os
import time
import uuid

import boto3

secrets = boto3.client("secretsmanager")
sqs = boto3.client("sqs")
credentials = None


def handler(event, context):
    global credentials
    if credentials is None:
        value = secrets.get_secret_value(SecretId=os.environ["WEBHOOK_CREDENTIALS_ARN"])
        credentials = json.loads(value["SecretString"])
    source = event["pathParameters"]["source"]
    expected = credentials[source]["authentication"][0]
    pair = f"{expected['username']}:{expected['password']}".encode()
    presented = event["headers"].get("authorization", "")
    if not hmac.compare_digest(presented.encode(), b"Basic " + base64.b64encode(pair)):
        return {"statusCode": 401, "body": "{}"}
    body = event["body"].encode()
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    envelope = {
        "id": str(uuid.uuid4()),
        "source": source,
        "received_at": time.time(),
        "body": base64.b64encode(body).decode(),
    }
    sqs.send_message(QueueUrl=os.environ["WEBHOOK_QUEUE_URL"], MessageBody=json.dumps(envelope))
    answer = json.dumps({"id": envelope["id"]})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": answer}
