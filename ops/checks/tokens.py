"""The Integration API's tokens: whether they are there, for how long, and looked after."""

from typing import Final

from gatehouse.exchange_journal import INTEGRATION_TOKENS as EXCHANGE
from gatehouse.exchange_journal import Begun
from gatehouse.integration_tokens import IntegrationTokens, TokensUnreadable, parse_tokens
from gatehouse.token_policy import is_due, is_refresh_token_old
from ops.checks.stack import interval_seconds
from ops.findings import Finding, State, ok, problem, unknown, warning
from ops.look import Look
from ops.outcomes import Run, last_run

OUTPUT: Final = "IntegrationTokensSecretArn"
DAY_SECONDS: Final = 24 * 60 * 60
REFRESH_TOKEN_SECONDS: Final = 7 * DAY_SECONDS
MISSED_TICKS: Final = 2
"""A token that is due for longer than so many intervals, or a function that has not run for so long, is no accident."""

SLACK_SECONDS: Final = 60

MOST_VERSIONS_A_DAY: Final = 100
"""About so many versions a secret may have, and none is removed before it is a day old (Secrets Manager's quotas)."""


def access_token(look: Look) -> Finding:
    """Whether there is an access token that is replaced in time."""
    try:
        tokens = parse_tokens(look.secret(OUTPUT).text)
    except TokensUnreadable as error:
        return problem(f"unreadable: {error}", f"The next tick asks for new ones. See {look.command('status')}.")
    if tokens is None:
        todo = f"The next tick asks for some, once IntegrationCredentials are filled in ({look.command('configure')})."
        return problem("there are none", todo)
    now = look.clock()
    left = tokens.expires_at - now
    if left <= 0:
        return problem(f"expired {duration(-left)} ago", "See what the last runs ended with.")
    found = f"{duration(left)} left"
    late = _is_due(look, tokens, now - MISSED_TICKS * interval_seconds(look) - SLACK_SECONDS)
    if late:
        return warning(f"{found}, and it should have been replaced", "See what the last runs ended with.")
    versions = _versions_a_day(look, tokens)
    if versions > MOST_VERSIONS_A_DAY:
        todo = f"Secrets Manager keeps {MOST_VERSIONS_A_DAY} and then refuses: lower RefreshMarginSeconds, and deploy."
        return warning(f"{found}, replaced {versions:.0f} times a day", todo)
    return ok(found)


def refresh_token(look: Look) -> Finding:
    """Whether the refresh token is young enough."""
    try:
        tokens = parse_tokens(look.secret(OUTPUT).text)
    except TokensUnreadable:
        tokens = None
    if tokens is None:
        return unknown("there is none to be read")
    now = look.clock()
    age = now - tokens.refresh_token_obtained_at
    found = f"{age / DAY_SECONDS:.1f} of its 7 days old"
    if not is_refresh_token_old(tokens, now):
        return ok(found)
    todo = "authenticate is asked at every tick: see what the last runs ended with."
    return problem(found, todo) if age >= REFRESH_TOKEN_SECONDS else warning(found, todo)


def exchange(look: Look) -> Finding:
    """Whether there is an exchange that nobody knows the end of."""
    answer = look.client("dynamodb").get_item(
        TableName=look.deployment.output("StateTableName"), Key={"pk": {"S": EXCHANGE}}, ConsistentRead=True
    )
    if (item := answer.get("Item")) is None or Begun(
        item["tokens_version_id"]["S"], item["candidate_id"]["S"]
    ).is_settled(look.secret(OUTPUT).version_id):
        return ok("every exchange is known to have ended")
    return warning(
        "one was begun, and nobody knows how it ended", "The next tick finds out; see what the last runs ended with."
    )


def last_runs(look: Look) -> Finding:
    """Whether somebody looks after the tokens, and how that ended."""
    now = look.clock()
    runs = runs_of(look)
    known = {name: run for name, run in runs.items() if run is not None}
    allowed = MISSED_TICKS * interval_seconds(look) + SLACK_SECONDS
    tick = runs["refresh_tokens"]
    if tick is None or now - tick.at > allowed:
        last = "in the last hours" if tick is None else f"for {duration(now - tick.at)}"
        return problem(f"refresh_tokens has not run {last}", "See the schedule; run it once with {}.")
    newest = max(known.values(), key=lambda run: run.at)
    found = "; ".join(f"{name}: {said(run, now)}" for name, run in known.items())
    todo = newest.meaning.todo.format(configure=look.command("configure"))
    return Finding(newest.meaning.state, found, "" if newest.meaning.state is State.OK else todo)


def runs_of(look: Look) -> dict[str, Run | None]:
    """Return the last run of each of the two functions."""
    functions = {"refresh_tokens": "RefreshTokensFunctionName", "authenticate": "AuthenticateFunctionName"}
    logs, now = look.client("logs"), look.clock()
    return {name: last_run(logs, look.deployment.output(output), now) for name, output in functions.items()}


def said(run: Run, now: float) -> str:
    """Return an outcome with its age and its meaning."""
    return f"{run.outcome or 'an unknown outcome'} {duration(max(0.0, now - run.at))} ago ({run.meaning.text})"


def _is_due(look: Look, tokens: IntegrationTokens, now: float) -> bool:
    return is_due(tokens, now, int(look.deployment.parameters["RefreshMarginSeconds"]))


def _versions_a_day(look: Look, tokens: IntegrationTokens) -> float:
    lives = tokens.expires_at - tokens.access_token_obtained_at
    kept = lives - int(look.deployment.parameters["RefreshMarginSeconds"])
    return DAY_SECONDS / max(kept, interval_seconds(look))


def duration(seconds: float) -> str:
    """Return a length of time in the unit that fits."""
    if seconds < 120:  # noqa: PLR2004 - minutes are too coarse here
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < DAY_SECONDS else f"{seconds / DAY_SECONDS:.1f} days"
