"""A guest's token with boto3 and PyJWT, as in many tutorials: the secret read once, at the first request."""

import json
import os
import time

import boto3
import jwt

secrets = boto3.client("secretsmanager")
secret = None


def handler(event, context):
    global secret
    if secret is None:
        secret = json.loads(secrets.get_secret_value(SecretId=os.environ["GATEWAY_SECRET_ARN"])["SecretString"])
    now = int(time.time())
    expires_at = now + 900
    token = jwt.encode({"guest": True, "iat": now, "exp": expires_at}, secret["secret"], algorithm="HS256")
    answer = {
        "gateway": secret["gateway_name"],
        "smallcaseAuthToken": token,
        "user": "guest",
        "expiresAt": expires_at,
    }
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(answer)}
