"""`make bench`: cold and warm, on the built artifacts and the real runtime client, side by side with what people write.

What runs is real: the artifacts of `make build`, Lambda's own runtime client (awslambdaric), boto3 beside every
function. What stands in, on loopback: the Runtime API, the secrets extension, Secrets Manager and SQS (both over TLS).
Lambda's own start of an environment and the extension's are not modelled.
"""
