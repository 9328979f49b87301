/**
 * The user: who is signed in, their session token, and their connection with a broker. It is what your page would do.
 */

import { GatehouseError, gatehouse } from "./gatehouse.js";
import { duration, element, onPress, say, sayWith, sentence, setMeter } from "./page.js";
import { standIn } from "./vendor-stand-in.js";

/** @typedef {import("./gatehouse.js").SessionToken} SessionToken */

const RENEW_SECONDS = 60;

/** What a person is told; codes are listed in docs/api.md. */
const MEANINGS = /** @type {Record<string, string>} */ ({
  ALREADY_CONNECTED: "This user is connected with another broker account. Disconnect it first.",
  AUTH_ID_TAKEN: "This broker account is taken: it is connected with another user, and stays so.",
  TRANSACTION_EXPIRED: "The dialog was open for too long. Connect once more.",
});

/** @param {import("./controls.js").Config} config */
export function startUserCard({ api_url, oidc_url, smallcase_url }) {
  let user = "";
  /** @type {{ user: string, token: string, until: number } | null} */
  let signedIn = null;
  /** @type {SessionToken | null} */
  let shown = null;
  /** Seconds that it had left when it was first shown. */
  let lifetime = 1;
  const session = gatehouse({ api: api_url, accessToken });
  const buttons = { connect: element("connect", HTMLButtonElement), disconnect: element("disconnect", HTMLButtonElement) };

  if (oidc_url === null) {
    for (const input of element("users", HTMLFieldSetElement).querySelectorAll("input")) input.disabled = input.value !== "";
  }
  element("users", HTMLFieldSetElement).addEventListener("change", async ({ target }) => {
    user = /** @type {HTMLInputElement} */ (target).value;
    shown = null;
    render();
    sayWith("user-result", "", "neutral");
    await report(() => refresh());
  });
  onPress("token-ask", "user-result", () =>
    report(async () => {
      const before = shown;
      const after = await refresh();
      sayWith("user-result", before === after ? "From memory: no request was made." : "A new token.", "good");
    }),
  );
  onPress("connect", "user-result", () => report(connect));
  onPress("disconnect", "user-result", () =>
    report(async () => {
      await session.disconnect();
      await refresh();
      sayWith("user-result", "Disconnected.", "good");
      buttons.connect.focus();
    }),
  );
  setInterval(render, 1000);
  report(() => refresh());

  /** The app's own access token of whoever is signed in: here of the simulated issuer, for the asking. */
  async function accessToken() {
    if (user === "") return null;
    if (signedIn?.user !== user || Date.now() > signedIn.until) {
      const asked = user;
      const answer = await fetch(`${oidc_url}/token`, { method: "POST", body: JSON.stringify({ user: asked }) });
      if (!answer.ok) throw new Error(`The issuer answered ${answer.status}.`);
      const { access_token, expires_in } = await answer.json();
      signedIn = { user: asked, token: access_token, until: Date.now() + (expires_in - RENEW_SECONDS) * 1000 };
    }
    return signedIn.token;
  }

  async function connect() {
    if (smallcase_url === null) return;
    const scDK = standIn(smallcase_url, () => user);
    const { gateway, smallcaseAuthToken } = await session.token();
    const { transactionId } = await session.startTransaction({ intent: "CONNECT" });
    const sdk = new scDK({ gateway, smallcaseAuthToken });
    const { data } = await sdk.triggerTransaction({ transactionId });
    const { broker } = await session.connect(data);
    await refresh();
    sayWith("user-result", broker ? `Connected with ${broker}.` : "Connected.", "good");
    buttons.disconnect.focus();
  }

  async function refresh() {
    const asked = user;
    const token = await session.token();
    if (asked !== user) return token; // another user has been chosen meanwhile
    if (token !== shown) lifetime = token.expiresAt - Date.now() / 1000;
    shown = token;
    render();
    return token;
  }

  /** @param {() => Promise<unknown>} action */
  async function report(action) {
    const asked = user;
    try {
      await action();
    } catch (error) {
      if (asked !== user) return;
      const code = error instanceof GatehouseError ? (error.code ?? String(error.status)) : null;
      sayWith("user-result", `${MEANINGS[code ?? ""] ?? sentence(error)}${code ? ` (${code})` : ""}`, "bad");
    }
  }

  function render() {
    const left = shown === null ? 0 : shown.expiresAt - Date.now() / 1000;
    const words = shown === null ? "…" : left > 0 ? `${duration(left)} left` : "Expired";
    sayWith("token-user", shown?.user ?? "…", shown?.user === "connected" ? "good" : "neutral");
    say("token-left", words);
    setMeter("token-meter", left / lifetime, words, left > 30 ? "good" : "warn");
    say("token-claims", shown === null ? "" : JSON.stringify(claims(shown.smallcaseAuthToken), null, 2));

    const connected = shown?.user === "connected";
    buttons.connect.hidden = connected;
    buttons.disconnect.hidden = !connected;
    const reason = why();
    buttons.connect.disabled = reason !== "";
    say("user-reason", reason);
    element("user-reason", HTMLElement).hidden = reason === "";
  }

  /** Why a connection cannot be made now. */
  function why() {
    if (oidc_url === null) return "The users are those of the simulated issuer, and this run uses another one.";
    if (smallcase_url === null) return "Connecting needs the simulated Gateway, and this run uses another one.";
    return user === "" ? "A guest has nothing to connect: sign in first." : "";
  }
}

/**
 * What a token says. Not whether it is true: that is for whoever has the key.
 *
 * @param {string} token
 */
function claims(token) {
  return JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/")));
}
