"""What can be reached from this machine: the API, the issuer, and both outside systems.

No credentials are sent anywhere, and of an answer nothing is said but its status and our own codes.
"""

from http import HTTPStatus
from typing import Final

from gatehouse.integration_call import API_PATH
from gatehouse.problems import INTERNAL_ERROR, PROBLEMS
from gatehouse.upstream import UpstreamAnswer, UpstreamFault, UpstreamRequest
from ops.findings import Finding, ok, problem, warning
from ops.look import Look

SECONDS: Final = 10.0

# Something answers in HTTP, if not in the way that this client reads.
_ANSWERED: Final = {"too_large", "content_encoding"}

_CODES: Final = {each.code for each in (*PROBLEMS.values(), INTERNAL_ERROR)}


def api(look: Look) -> Finding:
    """Whether the API issues a guest token."""
    try:
        answer = _send(look, "POST", look.deployment.public_url + "/v1/tokens/guest")
    except UpstreamFault as fault:
        return problem(f"cannot be reached from here: {fault.reason}", "Look at your way there, and at API Gateway.")
    if answer.status == HTTPStatus.OK:
        return ok("issues guest tokens")
    code = _code(answer)
    found = f"a guest is answered {answer.status}" + (f" {code}" if code else "")
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return warning(found, "The route is busier than TokenRouteRateLimit allows.")
    if code == "GATEWAY_NOT_CONFIGURED":
        return problem(found, f"Fill in GatewaySecret ({look.command('configure')}).")
    return problem(found, "See docs/api.md for the code, and the log of issue_guest_token.")


def issuer(look: Look) -> Finding:
    """Whether the OIDC issuer has a discovery document that names it to the letter."""
    expected = look.deployment.parameters["OidcIssuer"]
    todo = "Users' tokens are refused without it: look at the issuer, and at OidcIssuer in samconfig.toml."
    try:
        answer = _send(look, "GET", expected.rstrip("/") + "/.well-known/openid-configuration")
        if answer.status != HTTPStatus.OK:
            return problem(f"its discovery document is answered {answer.status}", todo)
        document = answer.json_object()
    except UpstreamFault as fault:
        return problem(f"no discovery document: {fault.reason}", todo)
    if document.get("issuer") != expected:
        return problem("its discovery document names another issuer", todo)
    if not isinstance(document.get("jwks_uri"), str):
        return problem("its discovery document has no jwks_uri", todo)
    return ok("has a discovery document, and is the one it names")


def integration_api(look: Look) -> Finding:
    """Whether the Integration API answers at all."""
    return _upstream(look, "IntegrationBaseUrl", API_PATH)


def smallcase_gateway(look: Look) -> Finding:
    """Whether the smallcase Gateway answers at all."""
    return _upstream(look, "SmallcaseBaseUrl", "")


def _upstream(look: Look, parameter: str, path: str) -> Finding:
    try:
        status = _send(look, "GET", look.deployment.parameters[parameter].rstrip("/") + path).status
    except UpstreamFault as fault:
        if fault.reason in _ANSWERED:
            return ok("answers")
        todo = f"Look at {parameter}, at your way there, and at their status; the functions have a way of their own."
        return problem(f"cannot be reached from here: {fault.reason}", todo)
    # Nothing is known to be there, so that a refusal is as good as anything.
    found = f"answers ({status})"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return warning(found, "Ask them, if calls fail as well.")
    return ok(found)


def _send(look: Look, method: str, url: str) -> UpstreamAnswer:
    return look.transport.send(UpstreamRequest(method, url, {}), SECONDS)


def _code(answer: UpstreamAnswer) -> str:
    """Return the code of one of our own problems, and nothing of any other answer."""
    try:
        code = UpstreamAnswer(answer.status, {"content-type": "application/json"}, answer.body).json_object()["code"]
    except (UpstreamFault, KeyError):
        return ""
    return code if isinstance(code, str) and code in _CODES else ""
