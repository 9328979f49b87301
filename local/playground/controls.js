/**
 * What a browser cannot do is asked of the playground's own server.
 */

/** A control call that was answered, but not done. */
export class Refused extends Error {}

/**
 * @typedef {object} Config
 * @property {string} api_url
 * @property {string[]} api_origins
 * @property {string | null} oidc_url
 * @property {string | null} smallcase_url
 * @property {boolean} integration_simulated
 * @property {{ id: string, label: string }[]} senders
 *
 * @typedef {object} TokenStatus
 * @property {number | null} seconds_left
 * @property {number | null} refresh_token_age_seconds
 * @property {number} margin_seconds
 * @property {{ function: string, outcome: string, seconds_ago: number } | null} last
 * @property {boolean} upstream_down
 * @property {boolean} credentials_wrong
 *
 * @typedef {object} Sent
 * @property {number} status
 * @property {{ id?: string, code?: string } | null} body
 *
 * @typedef {object} Arrivals
 * @property {{ id: string, source: string, kind?: string, state: string, received_at: string }[]} log
 * @property {{ time: string, detail_type: string, delivery_id: string | null }[]} bus
 */

/** @returns {Promise<Config>} */
export const config = () => call("GET", "config");

/** @returns {Promise<TokenStatus>} */
export const tokenStatus = () => call("GET", "tokens");

/** @returns {Promise<Arrivals>} */
export const arrivals = () => call("GET", "arrivals");

/**
 * @param {"tick" | "age" | "authenticate"} what
 * @returns {Promise<{ function: string, outcome: string }>}
 */
export const run = (what) => call("POST", what, {});

/** @param {boolean} down */
export const setUpstream = (down) => call("POST", "upstream", { down });

/** @param {boolean} wrong */
export const setCredentials = (wrong) => call("POST", "credentials", { wrong });

/**
 * @param {string} sender
 * @param {"right" | "wrong" | "duplicate"} how
 * @returns {Promise<Sent>}
 */
export const send = (sender, how) => call("POST", "webhooks", { sender, how });

/**
 * @param {string} method
 * @param {string} name
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function call(method, name, body) {
  const answer = await fetch(`/_playground/${name}`, {
    method,
    headers: { "X-Gatehouse-Playground": "1", ...(body ? { "content-type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : null,
  });
  const document = await answer.json();
  if (!answer.ok) throw new Refused(document.error?.message ?? `The playground's server answered ${answer.status}.`);
  return document;
}
