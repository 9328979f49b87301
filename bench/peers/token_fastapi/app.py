"""A guest's token with FastAPI behind Mangum, and boto3."""

import json
import os
import time
from functools import cache

import boto3
import jwt
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()
secrets = boto3.client("secretsmanager")


class SessionToken(BaseModel):
    gateway: str
    smallcaseAuthToken: str
    user: str
    expiresAt: int


@cache
def read_secret():
    return json.loads(secrets.get_secret_value(SecretId=os.environ["GATEWAY_SECRET_ARN"])["SecretString"])


@app.post("/v1/tokens/guest")
def issue() -> SessionToken:
    secret = read_secret()
    now = int(time.time())
    expires_at = now + 900
    token = jwt.encode({"guest": True, "iat": now, "exp": expires_at}, secret["secret"], algorithm="HS256")
    return SessionToken(gateway=secret["gateway_name"], smallcaseAuthToken=token, user="guest", expiresAt=expires_at)


handler = Mangum(app, lifespan="off")
