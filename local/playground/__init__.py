r"""The page for trying Gatehouse out, and the browser client that people copy.

    python -m local.playground --port N      (what it shows comes in PLAYGROUND_SURROUNDINGS, see `surroundings`)

`gatehouse.js` is the client; everything else is for this machine alone. The page calls the API from its own origin, so
CORS is real. What a browser cannot do (invoke a function, arm a simulator's fault, sign a delivery, look into the log)
is a control call, JSON in and out:

| call | what it does |
|---|---|
| `GET /_playground/config` | addresses, who can send webhooks, and why something cannot be tried in this run |
| `GET /_playground/tokens` | how long the integration tokens last, the last outcome, the switches; never a token |
| `POST /_playground/tick` | invokes `refresh_tokens` |
| `POST /_playground/authenticate` | invokes `authenticate` |
| `POST /_playground/age` | gets an access token that has ten minutes left |
| `POST /_playground/upstream` | `{"down": true \| false}` |
| `POST /_playground/credentials` | `{"wrong": true \| false}` |
| `POST /_playground/webhooks` | `{"sender", "how": "right" \| "wrong" \| "duplicate"}` sends one to the real route |
| `GET /_playground/arrivals` | the event log's newest entries and the bus's newest events; no body |

Only this page may make them: see `guard`. It listens on 127.0.0.1 alone.
"""
