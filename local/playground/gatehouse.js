/**
 * Browser client of Gatehouse: copy this one file next to your page's scripts. It has no dependencies.
 *
 * It owns the session token of your page: asking for it, keeping it in memory until shortly before it expires, and
 * forgetting it when the user changes, connects or disconnects. It never writes a token anywhere: no storage, no cookie,
 * no log.
 *
 * @module gatehouse
 */

/** A cached token is handed out until so long before it expires: time enough to use it. */
const MARGIN_MS = 30_000;
/** How long the client waits before it asks again, where the answer does not say. Some of it is left to chance. */
const DELAYS_MS = [500, 1_000, 2_000];
/** A longer Retry-After is left to the page: nobody waits for a spinner for so long. */
const LONGEST_WAIT_MS = 10_000;

const TOO_MANY_REQUESTS = 429;
const SERVICE_UNAVAILABLE = 503;

/**
 * @typedef {object} Options
 * @property {string} api The stack's output `ApiUrl`.
 * @property {() => AccessToken | Promise<AccessToken>} [accessToken] Gives your app's own OIDC access token, or nothing
 *   while nobody is signed in. It is called for every token and every call, so it should answer from memory, and it is
 *   what notices that the user has changed.
 *
 * @typedef {string | null | undefined} AccessToken
 *
 * @typedef {object} SessionToken
 * @property {string} gateway What the vendor's SDK calls `gateway`.
 * @property {string} smallcaseAuthToken
 * @property {"guest" | "connected"} user
 * @property {number} expiresAt Epoch seconds.
 *
 * @typedef {{ intent: string } & Record<string, unknown>} Order
 *
 * @typedef {object} Transaction
 * @property {string} transactionId
 * @property {number} expiresAt Epoch seconds.
 *
 * @typedef {object} Result What the vendor's SDK answers for a transaction, in its `data`; more members do no harm.
 * @property {string} smallcaseAuthToken
 * @property {string} transactionId
 *
 * @typedef {object} Connection
 * @property {"connected"} user
 * @property {string} [broker]
 *
 * @typedef {object} CallOptions
 * @property {AbortSignal} [signal] Ends the waiting, and the request where nobody else waits for it.
 *
 * @typedef {object} Client
 * @property {(options?: CallOptions) => Promise<SessionToken>} token Gives the session token: a guest's, or the user's.
 * @property {(order: Order, options?: CallOptions) => Promise<Transaction>} startTransaction
 * @property {(result: Result, options?: CallOptions) => Promise<Connection>} connect
 * @property {(options?: CallOptions) => Promise<void>} disconnect
 */

/** Gatehouse answered, but not with what was asked for. Decide on `code`, or `status`; the message is for people. */
export class GatehouseError extends Error {
  /**
   * @param {string} message
   * @param {{ status: number, code?: string | null, requestId?: string | null, retryAfter?: number | null }} answer
   */
  constructor(message, { status, code = null, requestId = null, retryAfter = null }) {
    super(message);
    this.name = "GatehouseError";
    /** The HTTP status. */
    this.status = status;
    /** The problem's code, such as `AUTH_ID_TAKEN`; null where API Gateway answered by itself. */
    this.code = code;
    /** What to name to the operator: it is in the log. */
    this.requestId = requestId;
    /** Seconds to wait before another try, where the answer said so. */
    this.retryAfter = retryAfter;
  }
}

/**
 * Make a client. One is enough for a page.
 *
 * Its calls reject with a `GatehouseError` for every answer that is no success, with the `TypeError` of `fetch` where
 * there is no answer (no network, or an origin that the stack does not list), and with the signal's reason. Only 429 and
 * 503 are tried again, up to three times: after Retry-After where it is at most ten seconds, else not at all.
 *
 * @param {Options} options
 * @returns {Client}
 */
export function gatehouse({ api, accessToken = () => null }) {
  const base = api.replace(/\/+$/, "");
  /** @type {{ bearer: string | null, token: SessionToken, until: number } | null} */
  let cached = null;
  /** @type {{ bearer: string | null, answer: Promise<SessionToken>, waiting: number, abort: AbortController } | null} */
  let pending = null;

  return {
    async token({ signal } = {}) {
      const bearer = await currentBearer(signal);
      if (cached?.bearer === bearer && Date.now() < cached.until) return cached.token;
      cached = null;
      if (pending?.bearer !== bearer) pending = ask(bearer);
      return waitFor(pending, signal);
    },

    async startTransaction(order, { signal } = {}) {
      // Not on 503: the transaction may have been started.
      return call("POST", "/v1/transactions", await signedIn(signal), signal, { body: order, again: [TOO_MANY_REQUESTS] });
    },

    async connect({ smallcaseAuthToken, transactionId }, { signal } = {}) {
      const bearer = await signedIn(signal);
      try {
        return await call("POST", "/v1/connections", bearer, signal, { body: { smallcaseAuthToken, transactionId } });
      } finally {
        forget(); // also after a failure: an answer that got lost may have been a success
      }
    },

    async disconnect({ signal } = {}) {
      const bearer = await signedIn(signal);
      try {
        await call("DELETE", "/v1/connections", bearer, signal);
      } finally {
        forget();
      }
    },
  };

  function forget() {
    cached = null;
    pending = null;
  }

  /** @param {AbortSignal} [signal] */
  async function currentBearer(signal) {
    return (await abortable(Promise.resolve(accessToken()), signal)) || null;
  }

  /** @param {AbortSignal} [signal] */
  async function signedIn(signal) {
    const bearer = await currentBearer(signal);
    if (bearer === null) throw new GatehouseError("Nobody is signed in.", { status: 401, code: "NOT_SIGNED_IN" });
    return bearer;
  }

  /**
   * Ask for a token, for everybody who wants one until it is there.
   *
   * @param {string | null} bearer
   */
  function ask(bearer) {
    const abort = new AbortController();
    const shared = { bearer, abort, waiting: 0, answer: request() };
    return shared;

    async function request() {
      try {
        const path = bearer === null ? "/v1/tokens/guest" : "/v1/tokens/user";
        /** @type {SessionToken} */
        const token = Object.freeze(await call("POST", path, bearer, abort.signal));
        // A user who changed or connected meanwhile must not be given it.
        if (pending === shared) cached = { bearer, token, until: Date.now() + lifetimeMs(token) - MARGIN_MS };
        return token;
      } finally {
        if (pending === shared) pending = null;
      }
    }
  }

  /**
   * Wait for a request that others may be waiting for, too. The last one to leave ends it.
   *
   * @param {NonNullable<typeof pending>} shared
   * @param {AbortSignal} [signal]
   */
  async function waitFor(shared, signal) {
    shared.waiting += 1;
    try {
      return await abortable(shared.answer, signal);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) {
        if (pending === shared) pending = null;
        shared.abort.abort();
      }
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string | null} bearer
   * @param {AbortSignal} [signal]
   * @param {{ body?: object, again?: number[] }} [details] `again`: the statuses to try again
   * @returns {Promise<any>} The answer's JSON, as documented for the route.
   */
  async function call(method, path, bearer, signal, { body, again = [TOO_MANY_REQUESTS, SERVICE_UNAVAILABLE] } = {}) {
    /** @type {RequestInit} */
    const request = {
      method,
      headers: {
        ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error", // the access token goes where it was sent, and nowhere else
      signal: signal ?? null,
    };
    for (let tries = 0; ; tries += 1) {
      const answer = await fetch(base + path, request);
      if (answer.ok) return answer.status === 204 ? undefined : answer.json();
      const error = await problem(answer);
      const delay = again.includes(error.status) ? delayMs(tries, error.retryAfter) : null;
      if (delay === null) throw error;
      await sleep(delay, signal);
    }
  }
}

/**
 * How long a token that has just come is good for. Both times are the server's, so a wrong clock here does no harm.
 *
 * @param {SessionToken} token
 */
function lifetimeMs({ smallcaseAuthToken, expiresAt }) {
  let issuedAt = Date.now() / 1000;
  try {
    const payload = smallcaseAuthToken.split(".")[1] ?? "";
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    if (Number.isFinite(claims.iat)) issuedAt = claims.iat;
  } catch {
    // Not readable: then the clock here has to do.
  }
  return (expiresAt - issuedAt) * 1000;
}

/**
 * @param {Response} answer
 * @returns {Promise<GatehouseError>}
 */
async function problem(answer) {
  /** @type {unknown} */
  let body = null;
  try {
    body = await answer.json();
  } catch {
    // No JSON: the status says it all.
  }
  const members = /** @type {Record<string, unknown>} */ (typeof body === "object" && body !== null ? body : {});
  /** @param {string} name */
  const text = (name) => (typeof members[name] === "string" ? members[name] : null);
  return new GatehouseError(text("detail") ?? text("message") ?? `Gatehouse answered ${answer.status}.`, {
    status: answer.status,
    code: text("code"),
    requestId: text("request_id"),
    retryAfter: retryAfter(answer.headers.get("retry-after")),
  });
}

/**
 * Read Retry-After: seconds, or a date.
 *
 * @param {string | null} header
 */
function retryAfter(header) {
  if (header === null) return null;
  if (/^\d+$/.test(header.trim())) return Number(header);
  const seconds = (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}

/**
 * @param {number} tries How often it has been tried again.
 * @param {number | null} seconds What Retry-After asked for.
 * @returns {number | null} null where it is not to be tried again.
 */
function delayMs(tries, seconds) {
  const delay = DELAYS_MS[tries];
  if (delay === undefined) return null;
  const wait = (seconds ?? 0) * 1000;
  if (wait > LONGEST_WAIT_MS) return null;
  // Never sooner than asked, and not all pages at the same moment.
  return wait + delay * (0.5 + Math.random() / 2);
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal]
 */
function sleep(ms, signal) {
  return abortable(new Promise((resolve) => setTimeout(resolve, ms)), signal);
}

/**
 * Wait for a promise, or reject with the signal's reason, whichever comes first.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal} [signal]
 * @returns {Promise<T>}
 */
function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
