/**
 * Webhooks: sending one as its sender would, and following it into the event log and onto the bus.
 */

import { arrivals, send } from "./controls.js";
import { element, every, onPress, sayWith } from "./page.js";

const LOOK_SECONDS = 5;
const FOLLOW_MS = 700;
const ARRIVES_WITHIN_MS = 20_000;
/** A repeated delivery leaves no trace, which can only be waited for. */
const SETTLES_WITHIN_MS = 4_000;
const SHORT_ID = 8;
const ROWS = 6;

/** @typedef {"right" | "wrong" | "duplicate"} How */

/** @param {import("./controls.js").Config} config */
export function startWebhooksCard({ senders }) {
  const select = element("sender", HTMLSelectElement);
  const duplicate = element("send-duplicate", HTMLButtonElement);
  /** @type {Set<string>} Senders whose last right delivery is known. */
  const repeatable = new Set();
  /** @type {string | null} */
  let followed = null;

  select.append(...senders.map(({ id, label }) => new Option(label, id)));
  select.addEventListener("change", () => {
    duplicate.disabled = !repeatable.has(select.value);
  });
  for (const how of /** @type {How[]} */ (["right", "wrong", "duplicate"])) {
    onPress(`send-${how}`, "trail-answer", () => sendOne(how));
  }
  every(LOOK_SECONDS, look);

  /** @param {How} how */
  async function sendOne(how) {
    const sender = select.value;
    trail(["Sending …", "neutral"], ["–", "neutral"], ["–", "neutral"]);
    const { status, body } = await send(sender, how);
    const id = body?.id ?? null;
    followed = id;
    if (id === null) {
      const code = body?.code ?? "";
      trail([`${status} ${code}`, status < 500 ? "warn" : "bad"], ["Nothing", "neutral"], ["Nothing", "neutral"]);
      await look();
      return;
    }
    if (how === "right") repeatable.add(sender);
    duplicate.disabled = !repeatable.has(select.value);
    const answer = /** @type {Said} */ ([`${status}, accepted as ${short(id)}`, "good"]);
    trail(answer, ["Waiting …", "neutral"], ["Waiting …", "neutral"]);
    await follow(id, how, answer);
  }

  /**
   * @param {string} id
   * @param {How} how
   * @param {Said} answer
   */
  async function follow(id, how, answer) {
    const sent = Date.now();
    while (followed === id) {
      const { log, bus } = await look();
      const entry = log.find((each) => each.id === id);
      const event = bus.find((each) => each.delivery_id === id);
      if (how === "duplicate" && !entry && Date.now() - sent > SETTLES_WITHIN_MS) {
        trail(answer, ["Recognised: no second entry", "good"], ["No second event", "good"]);
        return;
      }
      trail(
        answer,
        entry ? [`Entered, ${entry.state}`, "good"] : ["Waiting …", "neutral"],
        event ? [event.detail_type, "good"] : ["Waiting …", "neutral"],
      );
      if (entry?.state === "published" && event) return;
      if (Date.now() - sent > ARRIVES_WITHIN_MS) {
        trail(
          answer,
          entry ? [`Entered, ${entry.state}`, "warn"] : ["Not yet", "warn"],
          event ? [event.detail_type, "good"] : ["Not yet", "warn"],
        );
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    }
  }

  async function look() {
    const seen = await arrivals();
    fill("log", seen.log, "Empty.", (entry) => [
      { text: time(entry.received_at) },
      { text: [entry.source, entry.kind].filter(Boolean).join(" ") },
      { text: short(entry.id), title: entry.id },
      { text: entry.state },
    ]);
    fill("bus", seen.bus, "No event since this page was opened.", (event) => [
      { text: time(event.time) },
      { text: event.detail_type },
      event.delivery_id ? { text: short(event.delivery_id), title: event.delivery_id } : { text: "–" },
    ]);
    return seen;
  }
}

/** @typedef {[string, import("./page.js").Tone]} Said */

/**
 * @param {Said} answer
 * @param {Said} log
 * @param {Said} bus
 */
function trail(answer, log, bus) {
  sayWith("trail-answer", ...answer);
  sayWith("trail-log", ...log);
  sayWith("trail-bus", ...bus);
}

/**
 * @template R
 * @param {string} id
 * @param {R[]} rows
 * @param {string} none
 * @param {(row: R) => { text: string, title?: string }[]} cells
 */
function fill(id, rows, none, cells) {
  const table = element(id, HTMLTableSectionElement);
  const shown = rows.slice(0, ROWS);
  const content = JSON.stringify(shown);
  if (table.dataset["content"] === content) return; // a selection or a screen reader's place is not disturbed
  table.dataset["content"] = content;
  table.replaceChildren();
  for (const row of shown) {
    const line = Object.assign(table.insertRow(), { role: "row" });
    for (const { text, title = "" } of cells(row)) {
      Object.assign(line.insertCell(), { role: "cell", textContent: text, title });
    }
  }
  if (shown.length === 0) {
    const line = Object.assign(table.insertRow(), { role: "row" });
    Object.assign(line.insertCell(), { role: "cell", textContent: none, className: "empty", colSpan: 4 });
  }
}

/** @param {string} id */
const short = (id) => id.slice(0, SHORT_ID);

/** @param {string} iso */
const time = (iso) => new Date(iso).toLocaleTimeString([], { hour12: false });
