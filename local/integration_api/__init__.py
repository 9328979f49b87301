r"""A simulator of the brokerage Integration API, for development and tests on one machine.

    python -m local.integration_api --port N --api-key K --secret-key S

It does what is documented: exchanging credentials or a refresh token for tokens, and a few protected endpoints. Where
the documentation is silent, both ways can be tried with a switch, and every way in which an upstream can fail is a
fault that can be armed. Switches and faults are HTTP calls, JSON in and out, for programs and pages of this machine:

| call | what it does |
|---|---|
| `GET /_simulator/state` | settings, armed faults, the newest tokens' expiry, counts, a log of exchanges; no secret |
| `POST /_simulator/settings` | any of the members in `settings.Settings`; all of them or, with a 400, none |
| `POST /_simulator/faults` | arms a fault: see the table in `faults` |
| `DELETE /_simulator/faults` | disarms all of them |
| `POST /_simulator/revoke` | `{"what": "access" \| "refresh" \| "all" \| "older"}` ends the life of these tokens |
| `POST /_simulator/reset` | everything back to how it started: settings, tokens, faults, counts, log, rate limit |

State is in memory and ends with the process. It listens on 127.0.0.1 alone.
"""
