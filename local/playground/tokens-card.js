/**
 * The integration tokens: how long they last, how the last run ended, and what can be done to them.
 */

import { run, setCredentials, setUpstream, tokenStatus } from "./controls.js";
import { duration, element, every, onPress, say, sayWith, sentence, setMeter } from "./page.js";

const LOOK_SECONDS = 5;
/** The upstream documents that an access token lives an hour. */
const LIFETIME_SECONDS = 3600;

/** @type {Record<string, [import("./page.js").Tone, string]>} */
const OUTCOMES = {
  unchanged: ["good", "The token is good, so nobody was called."],
  refreshed: ["good", "A new access token is stored."],
  authenticated: ["good", "New tokens are stored."],
  not_needed: ["neutral", "The request came late: the tokens had been replaced already."],
  reauthentication_requested: ["warn", "There is no refresh token that works, so authenticate was asked over the bus."],
  upstream_unavailable: ["bad", "The upstream had no usable answer. What is stored stays; the next tick tries again."],
  credentials_rejected: ["bad", "The upstream does not take the API key. It is not tried again until it is replaced."],
  not_configured: ["bad", "The credentials are not filled in."],
  lost_race: ["neutral", "Another run was first; its tokens are stored."],
  busy: ["neutral", "Another run is at it."],
  aws_unavailable: ["bad", "Secrets Manager, DynamoDB or EventBridge failed; the next tick tries again."],
  failed: ["bad", "The function failed. Its log says where."],
};

/** @param {import("./controls.js").Config} config */
export function startTokensCard({ integration_simulated }) {
  /** @type {{ status: import("./controls.js").TokenStatus, at: number } | null} */
  let seen = null;
  let [asked, shown] = [0, 0];
  const down = element("upstream-down", HTMLInputElement);
  const wrong = element("credentials-wrong", HTMLInputElement);

  if (!integration_simulated) {
    say("tokens-reason", "This run's Integration API is not the simulator, so it is left alone.");
    element("tokens-reason", HTMLElement).hidden = false;
    for (const control of [element("age", HTMLButtonElement), down, wrong]) control.disabled = true;
  }
  for (const what of /** @type {const} */ (["tick", "age", "authenticate"])) {
    onPress(what, "tokens-result", async () => {
      say("tokens-result", "");
      await run(what);
      await look();
    });
  }
  onSwitch(down, setUpstream);
  onSwitch(wrong, setCredentials);
  every(LOOK_SECONDS, look);
  setInterval(render, 1000);

  /**
   * @param {HTMLInputElement} input
   * @param {(on: boolean) => Promise<unknown>} set
   */
  function onSwitch(input, set) {
    input.addEventListener("change", async () => {
      try {
        await set(input.checked);
        say("tokens-result", "");
        await look();
      } catch (error) {
        input.checked = !input.checked;
        sayWith("tokens-result", sentence(error), "bad");
      }
    });
  }

  async function look() {
    const mine = ++asked;
    const status = await tokenStatus();
    if (mine < shown) return; // overtaken: what a later look has found is shown already
    shown = mine;
    seen = { status, at: Date.now() };
    down.checked = seen.status.upstream_down;
    wrong.checked = seen.status.credentials_wrong;
    render();
  }

  function render() {
    if (seen === null) return;
    const { status } = seen;
    const passed = (Date.now() - seen.at) / 1000;
    const left = status.seconds_left === null ? null : status.seconds_left - passed;
    const [tone, state] = stateOf(left, status.margin_seconds);
    const words = left === null ? "None" : left > 0 ? `${duration(left)} left` : `Expired ${duration(-left)} ago`;
    sayWith("tokens-state", state, tone);
    say("tokens-left", words);
    setMeter("tokens-meter", (left ?? 0) / LIFETIME_SECONDS, words, tone);
    const margin = Math.min(1, status.margin_seconds / LIFETIME_SECONDS);
    element("tokens-meter", HTMLElement).style.setProperty("--mark", `${margin * 100}%`);
    const age = status.refresh_token_age_seconds;
    const refresh = age === null ? "No refresh token." : `The refresh token is ${duration(age + passed)} old.`;
    say("tokens-note", `Replaced at ${duration(status.margin_seconds).replace(" 0 s", "")} left. ${refresh}`);

    const [outcomeTone, meaning] = OUTCOMES[status.last?.outcome ?? ""] ?? ["neutral", ""];
    sayWith("outcome", status.last?.outcome ?? "none yet", outcomeTone);
    say("outcome-meaning", meaning);
    say("outcome-when", status.last ? `${status.last.function}, ${ago(status.last.seconds_ago + passed)}` : "");
  }
}

/**
 * @param {number | null} left
 * @param {number} margin
 * @returns {[import("./page.js").Tone, string]}
 */
function stateOf(left, margin) {
  if (left === null) return ["bad", "none"];
  if (left <= 0) return ["bad", "expired"];
  return left <= margin ? ["warn", "due"] : ["good", "fresh"];
}

/** In steps, so that it is not read out every second. @param {number} seconds */
function ago(seconds) {
  return seconds < 60 ? "just now" : `${Math.floor(seconds / 60)} min ago`;
}
