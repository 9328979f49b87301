"""`make show-webhook`: what to register with the brokerage, or to hand in to smallcase, so that deliveries come here.

Owns the form of it. What can be copied is on stdout, what is only to be known is on stderr. Secrets are masked unless
they are asked for.
"""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlsplit

from gatehouse.problems import WebhooksNotConfigured
from gatehouse.secret_value import Secret
from gatehouse.webhook_credentials import BASIC, Fault, judge_sources, parse_sources
from gatehouse.webhooks import CHECKSUM_IDS
from ops.deployment import Deployment
from ops.program import DONE, NOT_DONE, WRONG, OpenDeployment, Variables, run

USAGE: Final = "make show-webhook SOURCE=<source>|smallcase [INDEX=<credential>] [SHOW_SECRETS=1] [STAGE=…]"

POST: Final = 2
"""The brokerage's number of the method."""

MASK: Final = "***"


def registration(api_url: str, source: str, credential: Mapping[str, Any], *, with_secrets: bool) -> dict[str, object]:
    """Return what a market's `webhook`, or a distributor's `meta`, is to hold.

    `host` has the port where the address has one. `credential` is an entry of the source's list that was judged.
    """
    if credential["type"] == BASIC:
        shown = {"username": credential["username"], "password": credential["password"] if with_secrets else MASK}
    else:
        shown = {"token": credential["token"] if with_secrets else MASK}
    address = urlsplit(f"{api_url}/v1/webhooks/integration/{source}")
    return {
        "host": address.netloc,
        "path": address.path,
        "method": POST,
        "authentication": {"type": credential["type"], **shown},
    }


def smallcase_lines(api_url: str, encoding: str) -> list[str]:
    """Return the addresses for smallcase, and how their checksums are read."""
    width = max(map(len, CHECKSUM_IDS))
    return [
        *(f"{kind:{width}}  {api_url}/v1/webhooks/smallcase/{kind}" for kind in CHECKSUM_IDS),
        "",
        f"checksum: HMAC-SHA256 in {encoding} (parameter ChecksumEncoding), key api_secret of GatewaySecret, over",
        *(f"{kind:{width}}  timestamp + {covered}" for kind, covered in CHECKSUM_IDS.items()),
    ]


def _note(text: str) -> None:
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)


def _show_source(deployment: Deployment, source: str, index: int | None, *, with_secrets: bool) -> int:
    with closing(deployment.client("secretsmanager")) as client:
        secret = client.get_secret_value(SecretId=deployment.output("WebhookCredentialsSecretArn"))
    text = Secret(secret.get("SecretString", ""))
    try:
        sources = judge_sources(text)
    except WebhooksNotConfigured as error:
        _note(f"WebhookCredentials cannot be used: {error.field}, {error.reason}.")
        return NOT_DONE
    judged = sources.entries.get(source)
    if judged is None:
        known = ", ".join(sorted(sources.entries))
        _note(f"WebhookCredentials has no source {source}. " + (f"It has: {known}." if known else "It has none yet."))
        return WRONG
    if isinstance(judged, Fault):
        _note(f"This source takes no delivery: {judged.field} in WebhookCredentials, {judged.reason}.")
        return NOT_DONE
    entry: Any = parse_sources(text)[source]
    credentials = entry["authentication"]
    if index is not None and index > len(credentials):
        _note(f"{source} has {len(credentials)} credential(s): INDEX is from 1 to {len(credentials)}.")
        return WRONG
    shown = index or len(credentials)
    document = registration(deployment.public_url, source, credentials[shown - 1], with_secrets=with_secrets)
    print(json.dumps(document, indent=2))
    _note(f"This is credential {shown} of {len(credentials)}" + (", the newest." if shown == len(credentials) else "."))
    if judged.token_header is not None:
        _note(f"A token (type 2) is expected bare in the header {judged.token_header}, and not in Authorization.")
    if judged.delivery_id_header is not None:
        _note(f"Deliveries are told apart by the header {judged.delivery_id_header}.")
    if not with_secrets:
        _note("SHOW_SECRETS=1 shows what stands for ***.")
    return DONE


def main(environment: Mapping[str, str], open_deployment: OpenDeployment = Deployment.open) -> int:
    """Show what the variables ask for, and return the exit code."""

    def work() -> int:
        variables = Variables(environment)
        source = variables.required("SOURCE", "a source in WebhookCredentials, or smallcase")
        index, with_secrets = variables.count("INDEX"), variables.flag("SHOW_SECRETS")
        variables.check()
        deployment = open_deployment(variables.stage)
        _note(deployment.title)
        if source == "smallcase":
            lines = smallcase_lines(deployment.public_url, deployment.parameters["ChecksumEncoding"])
            print("\n".join(lines))
            return DONE
        return _show_source(deployment, source.removeprefix("integration."), index, with_secrets=with_secrets)

    return run(USAGE, work)


if __name__ == "__main__":
    sys.exit(main(os.environ))
