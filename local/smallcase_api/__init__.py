r"""A simulator of the smallcase Gateway API, for development and tests on one machine.

    SMALLCASE_GATEWAY_NAME=acme SMALLCASE_SECRET=… SMALLCASE_API_SECRET=… python -m local.smallcase_api --port N

It checks what is documented to be checked (both headers, a guest's token for a CONNECT, the gateway's name), makes
transactions and tells their details. The vendor's dialog and the broker's login page it has not: what comes of them is
a control call. Where the documentation is silent, both ways can be tried with a switch, and every way in which an
upstream can fail is a fault that can be armed. Control calls are JSON in and out, for programs and pages of this
machine:

| call | what it does |
|---|---|
| `GET /_simulator/state` | settings, armed faults, brokers, transactions, requests, webhooks; no key, no token |
| `POST /_simulator/settings` | any of the members in `settings.Settings`; all of them or, with a 400, none |
| `POST /_simulator/faults` | arms a fault: see the table in `faults` |
| `DELETE /_simulator/faults` | disarms all of them |
| `POST /_simulator/reset` | everything back to how it started: settings, keys, transactions, faults, requests |
| `POST /_simulator/complete` | the user logs in at a broker, and the transaction is COMPLETED |
| `POST /_simulator/process` | the user logs in, and the transaction stays PROCESSING |
| `POST /_simulator/require-action` | the user logs in, and the transaction is ACTION_REQUIRED |
| `POST /_simulator/fail` | the user logs in, and the transaction is ERRORED (`error`: with this text) |
| `POST /_simulator/use` | the user opens the dialog: the transaction is USED |
| `POST /_simulator/cancel` | the user closes it again: the transaction is CANCELLED |

These last six take `transactionId`. The first four also take `broker` (one of two), `account` (any text: one person's
account with that broker, which always has the same smallcaseAuthId) or `smallcaseAuthId` (this id), and answer what
the result of the browser SDK's `triggerTransaction` carries as `data`: `smallcaseAuthToken`, `transactionId`, `broker`.
Where `gateway` and `smallcaseAuthToken` are given, they are checked as what the page made the SDK with.

State is in memory and ends with the process. It listens on 127.0.0.1 alone.

What is known of the vendor is marked in these modules: (H) its own pages or packages, (M) its source, or a third party
that agrees with it, (L) a single undocumented source. What is not marked, is the simulator's own.
"""
