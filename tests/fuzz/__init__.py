"""`make schemathesis`: docs/openapi.yaml against a running stack, by requests that nobody thought of."""
