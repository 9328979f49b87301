"""A guest's token with all of Powertools' usual parts: Logger, Tracer, Metrics, resolver and parameters."""

import json
import os
import time

import jwt
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities import parameters

logger = Logger()
tracer = Tracer()
metrics = Metrics()
app = APIGatewayHttpResolver()


@app.post("/v1/tokens/guest")
@tracer.capture_method
def issue():
    secret = parameters.get_secret(os.environ["GATEWAY_SECRET_ARN"], max_age=60, transform="json")
    now = int(time.time())
    expires_at = now + 900
    token = jwt.encode({"guest": True, "iat": now, "exp": expires_at}, secret["secret"], algorithm="HS256")
    metrics.add_metric(name="TokensIssued", unit=MetricUnit.Count, value=1)
    logger.info("session_token.issued", user="guest")
    return {"gateway": secret["gateway_name"], "smallcaseAuthToken": token, "user": "guest", "expiresAt": expires_at}


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    return app.resolve(event, context)
