// The browser client, with a fetch and timers of its own: nothing is sent, and nobody waits.
// `test_browser_client.py` runs it; `npm test` is not needed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, mock, test } from "node:test";

import { GatehouseError, gatehouse } from "../../local/playground/gatehouse.js";

const API = "https://api.example.com";
const NOW = Date.UTC(2026, 10, 22, 4, 0, 0);
const LIFETIME_SECONDS = 900;
const MARGIN_SECONDS = 30;

/** @type {{ url: string, init: RequestInit }[]} */
let requests;
/** Answers in the order of the requests: a function makes one, so that it can look at the request or fail. */
let answers;

const settle = () => new Promise(setImmediate);

const json = (status, body, headers = {}) => () => new Response(JSON.stringify(body), { status, headers });

let issued = 0;
function token(user = "guest", { skewSeconds = 0, lifetime = LIFETIME_SECONDS } = {}) {
  return () => {
    const iat = Math.floor(Date.now() / 1000) + skewSeconds;
    issued += 1;
    // The filler has the two characters in it by which base64url differs from base64.
    const claims = Buffer.from(JSON.stringify({ guest: true, iat, exp: iat + lifetime, n: issued, filler: "???>>>" }));
    assert.match(claims.toString("base64url"), /-.*_|_.*-/);
    return Response.json({
      gateway: "acme",
      smallcaseAuthToken: `e30.${claims.toString("base64url")}.signature`,
      user,
      expiresAt: iat + lifetime,
    });
  };
}

const problem = (status, code, headers = {}) =>
  json(status, { type: "about:blank", status, code, detail: `It is ${code}.`, request_id: "r-1" }, headers);

/** An answer that comes when the test says so; it minds the request's signal, as fetch does. */
function later(make) {
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  const answer = ({ signal }) =>
    new Promise((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
      gate.then(() => resolve(make()));
    });
  return { answer, release };
}

beforeEach(() => {
  requests = [];
  answers = [];
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW });
  mock.method(Math, "random", () => 0.5);
  mock.method(globalThis, "fetch", async (url, init) => {
    requests.push({ url, init });
    const answer = answers.shift();
    assert.ok(answer, `an unexpected request: ${init.method} ${url}`);
    return answer(init);
  });
});

afterEach(() => {
  assert.deepEqual(answers, [], "a request that was expected was not made");
  mock.timers.reset();
  mock.restoreAll();
});

const seconds = (count) => mock.timers.tick(count * 1000);
const paths = () => requests.map(({ url, init }) => `${init.method} ${url.slice(API.length)}`);
const authorization = ({ init }) => init.headers.authorization;

describe("a session token", () => {
  test("of a guest is asked for without an access token", async () => {
    answers = [token()];
    const client = gatehouse({ api: `${API}/` });
    const answer = await client.token();
    assert.equal(answer.gateway, "acme");
    assert.equal(answer.user, "guest");
    assert.equal(answer.expiresAt, NOW / 1000 + LIFETIME_SECONDS);
    assert.deepEqual(paths(), ["POST /v1/tokens/guest"]);
    assert.deepEqual(requests[0].init.headers, {});
  });

  test("of a user is asked for with the app's access token", async () => {
    answers = [token("connected")];
    const client = gatehouse({ api: API, accessToken: async () => "access-asha" });
    assert.equal((await client.token()).user, "connected");
    assert.deepEqual(paths(), ["POST /v1/tokens/user"]);
    assert.equal(authorization(requests[0]), "Bearer access-asha");
  });

  test("is asked for in a way that keeps it out of caches and away from other hosts", async () => {
    answers = [token()];
    await gatehouse({ api: API }).token();
    const { cache, credentials, redirect } = requests[0].init;
    assert.deepEqual({ cache, credentials, redirect }, { cache: "no-store", credentials: "omit", redirect: "error" });
  });

  test("is kept until 30 s before it expires, and not a moment longer", async () => {
    answers = [token()];
    const client = gatehouse({ api: API });
    const first = await client.token();
    seconds(LIFETIME_SECONDS - MARGIN_SECONDS - 0.001);
    assert.equal(await client.token(), first);
    answers = [token()];
    seconds(0.001);
    assert.notEqual(await client.token(), first);
    assert.equal(requests.length, 2);
  });

  for (const skewSeconds of [-7200, 7200]) {
    test(`is kept as long where the clock here is ${-skewSeconds} s ahead`, async () => {
      answers = [token("guest", { skewSeconds })];
      const client = gatehouse({ api: API });
      const first = await client.token();
      seconds(LIFETIME_SECONDS - MARGIN_SECONDS - 1);
      assert.equal(await client.token(), first);
      answers = [token()];
      seconds(1);
      assert.notEqual(await client.token(), first);
    });
  }

  for (const opaque of ["opaque", "a.!.c", `a.${btoa("{}")}.c`, `a.${btoa('{"iat":"soon"}')}.c`, `a.${btoa("null")}.c`]) {
    test(`that cannot be read (${opaque}) is kept by the clock here`, async () => {
      const answer = { gateway: "acme", smallcaseAuthToken: opaque, user: "guest", expiresAt: NOW / 1000 + 60 };
      answers = [json(200, answer)];
      const client = gatehouse({ api: API });
      await client.token();
      seconds(29);
      await client.token();
      answers = [json(200, answer)];
      seconds(1);
      await client.token();
      assert.equal(requests.length, 2);
    });
  }

  test("cannot be changed by one of those who share it", async () => {
    answers = [token()];
    const answer = await gatehouse({ api: API }).token();
    assert.throws(() => (answer.user = "connected"), TypeError);
  });
});

describe("one request at a time", () => {
  test("serves everybody who asks meanwhile", async () => {
    const { answer, release } = later(token());
    answers = [answer];
    const client = gatehouse({ api: API });
    const asked = [client.token(), client.token(), client.token()];
    await settle();
    release();
    const given = await Promise.all(asked);
    assert.equal(new Set(given).size, 1);
    assert.equal(requests.length, 1);
  });

  test("that fails is not remembered", async () => {
    answers = [problem(500, "INTERNAL_ERROR")];
    const client = gatehouse({ api: API });
    const asked = [client.token(), client.token()];
    for (const each of asked) await assert.rejects(each, { code: "INTERNAL_ERROR" });
    answers = [token()];
    await client.token();
    assert.equal(requests.length, 2);
  });
});

describe("another user", () => {
  test("is given no token of the one before", async () => {
    let bearer = null;
    const client = gatehouse({ api: API, accessToken: () => bearer });
    answers = [token(), token("connected"), token(), token()];
    const given = [];
    for (bearer of [null, "asha", "ravi", undefined]) given.push(await client.token());
    assert.equal(new Set(given).size, 4);
    assert.deepEqual(requests.map(authorization), [undefined, "Bearer asha", "Bearer ravi", undefined]);
  });

  test("who comes while a request is under way starts another, and the late answer is not kept", async () => {
    let bearer = "asha";
    const client = gatehouse({ api: API, accessToken: () => bearer });
    const { answer, release } = later(token("connected"));
    answers = [answer, token("guest")];
    const ashas = client.token();
    await settle();
    bearer = "ravi";
    const ravis = await client.token();
    release();
    assert.equal((await ashas).user, "connected");
    assert.equal(await client.token(), ravis);
    assert.equal(requests.length, 2);
  });

  test("who is waited for is waited for once, whenever the answer for the one before comes", async () => {
    let bearer = "asha";
    const client = gatehouse({ api: API, accessToken: () => bearer });
    const [ashas, ravis] = [later(token("connected")), later(token("guest"))];
    answers = [ashas.answer, ravis.answer];
    const asked = [client.token()];
    await settle();
    bearer = "ravi";
    asked.push(client.token());
    await settle();
    ashas.release();
    await asked[0];
    asked.push(client.token());
    await settle();
    ravis.release();
    assert.equal(await asked[1], await asked[2]);
    assert.equal(await client.token(), await asked[1]);
    assert.equal(requests.length, 2);
  });

  test("is noticed even where the access token cannot be had", async () => {
    const client = gatehouse({ api: API, accessToken: () => Promise.reject(new Error("signed out")) });
    await assert.rejects(client.token(), /signed out/);
    assert.equal(requests.length, 0);
  });
});

describe("what is tried again", () => {
  for (const status of [429, 503]) {
    test(`is ${status}, after longer and longer waits`, async () => {
      answers = [problem(status, "LATER"), problem(status, "LATER"), problem(status, "LATER"), token()];
      const answer = gatehouse({ api: API }).token();
      for (const [wait, made] of [[0.375, 2], [0.75, 3], [1.5, 4]]) {
        await settle();
        seconds(wait - 0.001);
        await settle();
        assert.equal(requests.length, made - 1);
        seconds(0.001);
        await settle();
        assert.equal(requests.length, made);
      }
      assert.equal((await answer).user, "guest");
    });
  }

  test("is given up after three times", async () => {
    answers = Array.from({ length: 4 }, () => problem(503, "SECRET_UNAVAILABLE", { "retry-after": "1" }));
    const answer = assert.rejects(gatehouse({ api: API }).token(), { code: "SECRET_UNAVAILABLE", retryAfter: 1 });
    for (let tries = 0; tries < 4; tries += 1) {
      await settle();
      seconds(3);
    }
    await answer;
    assert.equal(requests.length, 4);
  });

  for (const [name, header] of [["seconds", "4"], ["a date", new Date(NOW + 4000).toUTCString()]]) {
    test(`waits at least as long as Retry-After asks for, as ${name}`, async () => {
      answers = [problem(429, "LATER", { "retry-after": header }), token()];
      const answer = gatehouse({ api: API }).token();
      await settle();
      seconds(4);
      await settle();
      assert.equal(requests.length, 1);
      seconds(0.375);
      await answer;
      assert.equal(requests.length, 2);
    });
  }

  test("is not what asks for a longer wait than anybody would sit through", async () => {
    answers = [problem(503, "GATEWAY_UNAVAILABLE", { "retry-after": "11" })];
    await assert.rejects(gatehouse({ api: API }).token(), { status: 503, retryAfter: 11 });
    assert.equal(requests.length, 1);
  });

  test("is tried at once where Retry-After has passed", async () => {
    const passed = new Date(NOW - 60_000).toUTCString();
    answers = Array.from({ length: 4 }, () => problem(503, "LATER", { "retry-after": passed }));
    const answer = assert.rejects(gatehouse({ api: API }).token(), { retryAfter: 0 });
    for (const wait of [0.375, 0.75, 1.5]) {
      await settle();
      seconds(wait);
    }
    await answer;
  });

  for (const header of ["soon", "", "-5"]) {
    test(`waits its own time where Retry-After is ${JSON.stringify(header)}`, async () => {
      answers = [problem(503, "LATER", { "retry-after": header }), token()];
      const answer = gatehouse({ api: API }).token();
      await settle();
      seconds(0.375);
      await answer;
    });
  }

  test("does not come at the same moment from every page", async () => {
    const waits = [];
    for (const chance of [0, 0.999]) {
      mock.method(Math, "random", () => chance);
      answers = [problem(503, "LATER"), token()];
      const answer = gatehouse({ api: API }).token();
      await settle();
      const before = Date.now();
      while (answers.length > 0) {
        seconds(0.01);
        await settle();
      }
      waits.push(Date.now() - before);
      await answer;
    }
    assert.ok(waits[0] >= 250 && waits[0] < 300, `${waits[0]}`);
    assert.ok(waits[1] > 450 && waits[1] <= 510, `${waits[1]}`);
  });

  for (const [status, code] of [[400, "INVALID_REQUEST"], [401, "CALLER_NOT_IDENTIFIED"], [500, "INTERNAL_ERROR"], [502, "X"]]) {
    test(`is not ${status}`, async () => {
      answers = [problem(status, code, { "retry-after": "1" })];
      await assert.rejects(gatehouse({ api: API }).token(), { status, code });
      assert.equal(requests.length, 1);
    });
  }

  test("is no failure of the network", async () => {
    const failure = new TypeError("Failed to fetch");
    answers = [() => Promise.reject(failure)];
    await assert.rejects(gatehouse({ api: API }).token(), (error) => error === failure);
    assert.equal(requests.length, 1);
  });
});

describe("an error", () => {
  test("says what the problem says", async () => {
    answers = [problem(409, "AUTH_ID_TAKEN")];
    const client = gatehouse({ api: API, accessToken: () => "ravi" });
    const error = await client.connect({ smallcaseAuthToken: "t", transactionId: "x" }).catch((caught) => caught);
    assert.ok(error instanceof GatehouseError && error instanceof Error);
    const { name, message, status, code, requestId, retryAfter } = error;
    assert.deepEqual(
      { name, message, status, code, requestId, retryAfter },
      { name: "GatehouseError", message: "It is AUTH_ID_TAKEN.", status: 409, code: "AUTH_ID_TAKEN", requestId: "r-1", retryAfter: null },
    );
  });

  test("of API Gateway itself has its message and no code", async () => {
    answers = [json(401, { message: "Unauthorized" })];
    const client = gatehouse({ api: API, accessToken: () => "expired" });
    await assert.rejects(client.token(), { message: "Unauthorized", status: 401, code: null, requestId: null });
  });

  for (const [name, body] of [["a web page", "<html>"], ["null", "null"], ["a text", '"x"'], ["other members", '{"code":7,"detail":{}}']]) {
    test(`that comes as ${name} has its status`, async () => {
      answers = [() => new Response(body, { status: 502 })];
      await assert.rejects(gatehouse({ api: API }).token(), { message: "Gatehouse answered 502.", status: 502, code: null });
    });
  }
});

describe("an abort", () => {
  test("ends the waiting with the signal's reason, and the request", async () => {
    const { answer } = later(token());
    answers = [answer];
    const reason = new Error("the page went on");
    const controller = new AbortController();
    const asked = gatehouse({ api: API }).token({ signal: controller.signal });
    await settle();
    controller.abort(reason);
    await assert.rejects(asked, (error) => error === reason);
    assert.ok(requests[0].init.signal.aborted);
  });

  test("of one leaves the request to the others", async () => {
    const { answer, release } = later(token());
    answers = [answer];
    const client = gatehouse({ api: API });
    const controller = new AbortController();
    const asked = client.token({ signal: controller.signal });
    const other = client.token();
    await settle();
    controller.abort();
    await assert.rejects(asked, { name: "AbortError" });
    assert.ok(!requests[0].init.signal.aborted);
    release();
    assert.equal((await other).user, "guest");
    assert.equal(await client.token(), await other);
  });

  test("is followed by a new request for the next who asks", async () => {
    const { answer } = later(token());
    answers = [answer, token()];
    const client = gatehouse({ api: API });
    const controller = new AbortController();
    const asked = client.token({ signal: controller.signal });
    await settle();
    controller.abort();
    const next = client.token();
    await assert.rejects(asked, { name: "AbortError" });
    assert.equal((await next).user, "guest");
    assert.equal(requests.length, 2);
  });

  test("before the beginning asks for nothing", async () => {
    const client = gatehouse({ api: API });
    await assert.rejects(client.token({ signal: AbortSignal.abort() }), { name: "AbortError" });
    assert.equal(requests.length, 0);
  });

  test("ends a wait between two tries", async () => {
    answers = [problem(503, "LATER")];
    const controller = new AbortController();
    const asked = gatehouse({ api: API }).token({ signal: controller.signal });
    await settle();
    controller.abort();
    await assert.rejects(asked, { name: "AbortError" });
    seconds(60);
    await settle();
    assert.equal(requests.length, 1);
  });

  test("is not listened for any longer than it matters", async () => {
    answers = [token()];
    const { signal } = new AbortController();
    const count = { addEventListener: 0, removeEventListener: 0 };
    for (const name of Object.keys(count)) mock.method(signal, name, () => (count[name] += 1));
    await gatehouse({ api: API }).token({ signal });
    await settle();
    assert.ok(count.addEventListener > 0);
    assert.equal(count.removeEventListener, count.addEventListener);
  });

  test("that comes after the answer does nothing", async () => {
    answers = [token()];
    const controller = new AbortController();
    const client = gatehouse({ api: API });
    const given = await client.token({ signal: controller.signal });
    controller.abort();
    assert.equal(await client.token(), given);
  });
});

describe("a connection", () => {
  const result = { smallcaseAuthToken: "from-the-sdk", transactionId: "TRX_1", broker: "alpha", success: true };
  const asha = () => gatehouse({ api: API, accessToken: () => "asha" });

  test("begins with a transaction of this user", async () => {
    answers = [json(201, { transactionId: "TRX_1", expiresAt: 1795321259 })];
    const transaction = await asha().startTransaction({ intent: "CONNECT", notes: "n" });
    assert.deepEqual(transaction, { transactionId: "TRX_1", expiresAt: 1795321259 });
    assert.deepEqual(paths(), ["POST /v1/transactions"]);
    assert.deepEqual(JSON.parse(requests[0].init.body), { intent: "CONNECT", notes: "n" });
    assert.deepEqual(requests[0].init.headers, { authorization: "Bearer asha", "content-type": "application/json" });
  });

  test("is proved with the two members that count", async () => {
    answers = [json(200, { user: "connected", broker: "alpha" })];
    assert.deepEqual(await asha().connect(result), { user: "connected", broker: "alpha" });
    assert.deepEqual(paths(), ["POST /v1/connections"]);
    assert.deepEqual(JSON.parse(requests[0].init.body), { smallcaseAuthToken: "from-the-sdk", transactionId: "TRX_1" });
  });

  test("ends with an answer without a body", async () => {
    answers = [() => new Response(null, { status: 204 })];
    assert.equal(await asha().disconnect(), undefined);
    assert.deepEqual(paths(), ["DELETE /v1/connections"]);
    assert.deepEqual(requests[0].init.headers, { authorization: "Bearer asha" });
    assert.equal(requests[0].init.body, null);
  });

  const changes = [
    ["connect", (client) => client.connect(result), json(200, { user: "connected" })],
    ["disconnect", (client) => client.disconnect(), () => new Response(null, { status: 204 })],
    ["a connect whose answer is lost", (client) => client.connect(result).catch(() => {}), () => Promise.reject(new TypeError())],
  ];
  for (const [name, change, answer] of changes) {
    test(`makes the token before it worthless: ${name}`, async () => {
      const client = asha();
      answers = [token(), answer, token("connected")];
      const before = await client.token();
      await change(client);
      assert.notEqual(await client.token(), before);
    });
  }

  test("is not undone in the cache by a token that was asked for before it", async () => {
    const client = asha();
    const { answer, release } = later(token("guest"));
    answers = [answer, json(200, { user: "connected" }), token("connected")];
    const early = client.token();
    await settle();
    await client.connect(result);
    release();
    assert.equal((await early).user, "guest");
    assert.equal((await client.token()).user, "connected");
  });

  test("is tried again on 503, because a repeated proof is answered alike", async () => {
    answers = [problem(503, "GATEWAY_UNAVAILABLE"), json(200, { user: "connected" })];
    const answer = asha().connect(result);
    await settle();
    seconds(0.375);
    assert.equal((await answer).user, "connected");
  });

  test("is not begun twice where the first attempt may have gone through", async () => {
    answers = [problem(503, "GATEWAY_UNAVAILABLE")];
    await assert.rejects(asha().startTransaction({ intent: "CONNECT" }), { code: "GATEWAY_UNAVAILABLE" });
  });

  test("is begun again where it was throttled", async () => {
    answers = [json(429, { message: "Too Many Requests" }), json(201, { transactionId: "TRX_1", expiresAt: 1 })];
    const answer = asha().startTransaction({ intent: "CONNECT" });
    await settle();
    seconds(0.375);
    assert.equal((await answer).transactionId, "TRX_1");
  });

  test("is for nobody who is not signed in", async () => {
    const guest = gatehouse({ api: API });
    const calls = [guest.startTransaction({ intent: "CONNECT" }), guest.connect(result), guest.disconnect()];
    for (const each of calls) await assert.rejects(each, { status: 401, code: "NOT_SIGNED_IN" });
    assert.equal(requests.length, 0);
  });

  test("can be aborted", async () => {
    const { answer } = later(json(200, {}));
    answers = [answer];
    const controller = new AbortController();
    const asked = asha().connect(result, { signal: controller.signal });
    await settle();
    controller.abort();
    await assert.rejects(asked, { name: "AbortError" });
  });
});

test("the example in the README does what it says", async () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const [, example] = /```js\n(import \{ gatehouse \}[^]*?)```/.exec(readme);
  const module = new URL("../../local/playground/gatehouse.js", import.meta.url).href;
  const seen = [];
  globalThis.scDK = class {
    constructor(options) {
      seen.push(options);
    }
    async triggerTransaction({ transactionId }) {
      return { data: { transactionId, smallcaseAuthToken: "from-the-sdk", broker: "alpha" } };
    }
  };
  globalThis.myApp = { accessToken: () => "asha" };
  answers = [
    token("guest"),
    json(201, { transactionId: "TRX_1", expiresAt: 1 }),
    (init) => {
      assert.deepEqual(JSON.parse(init.body), { smallcaseAuthToken: "from-the-sdk", transactionId: "TRX_1" });
      return Response.json({ user: "connected" });
    },
  ];
  await import(`data:text/javascript,${encodeURIComponent(example.replace("./gatehouse.js", module))}`);
  assert.deepEqual(Object.keys(seen[0]), ["gateway", "smallcaseAuthToken"]);
  assert.deepEqual(requests.map(({ init }) => init.method), ["POST", "POST", "POST"]);
  assert.ok(requests.every(({ init }) => init.headers.authorization === "Bearer asha"));
  assert.ok(example.trimEnd().split("\n").filter((line) => line.trim()).length <= 10, "ten lines, no more");
});
