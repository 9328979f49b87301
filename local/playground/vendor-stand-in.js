/**
 * A stand-in for the vendor's SDK: the same constructor and the same `triggerTransaction`, with a dialog of this page and
 * the simulated Gateway behind it. Your page loads the vendor's own script instead.
 */

import { element } from "./page.js";

/** @typedef {{ smallcaseAuthToken: string, transactionId: string, broker: string }} ResultData */

/** The vendor's dialog ended without a login. */
export class NotCompleted extends Error {}

/**
 * Make the stand-in's class.
 *
 * @param {string} simulator The URL of the simulated Gateway.
 * @param {() => string} suggestAccount Whose account the dialog suggests.
 */
export function standIn(simulator, suggestAccount) {
  return class scDK {
    /** @param {{ gateway: string, smallcaseAuthToken: string }} options */
    constructor({ gateway, smallcaseAuthToken }) {
      this.session = { gateway, smallcaseAuthToken };
    }

    /**
     * @param {{ transactionId: string }} transaction
     * @returns {Promise<{ data: ResultData }>}
     */
    async triggerTransaction({ transactionId }) {
      const { brokers } = await control(simulator, "GET", "state");
      const login = await ask(brokers, suggestAccount());
      if (login === null) {
        await control(simulator, "POST", "cancel", { transactionId });
        throw new NotCompleted("The dialog was closed without a login.");
      }
      return { data: await control(simulator, "POST", "complete", { transactionId, ...login, ...this.session }) };
    }
  };
}

/**
 * Show the dialog until it is closed.
 *
 * @param {string[]} brokers
 * @param {string} account
 * @returns {Promise<{ broker: string, account: string } | null>}
 */
function ask(brokers, account) {
  const dialog = element("vendor", HTMLDialogElement);
  const choices = element("vendor-brokers", HTMLFieldSetElement);
  choices.querySelectorAll("label").forEach((label) => label.remove());
  for (const [index, broker] of brokers.entries()) choices.append(choice(broker, index === 0));
  dialog.querySelectorAll("input").forEach((input) => {
    if (input.name === "account") input.checked = input.value === account;
  });
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const chosen = new FormData(/** @type {HTMLFormElement} */ (dialog.querySelector("form")));
        const login = { broker: String(chosen.get("broker")), account: String(chosen.get("account")) };
        resolve(dialog.returnValue === "continue" ? login : null);
      },
      { once: true },
    );
  });
}

/**
 * @param {string} broker
 * @param {boolean} checked
 */
function choice(broker, checked) {
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "broker", value: broker, checked });
  const name = document.createElement("span");
  name.textContent = broker.charAt(0).toUpperCase() + broker.slice(1);
  const label = document.createElement("label");
  label.append(input, name);
  return label;
}

/**
 * @param {string} simulator
 * @param {string} method
 * @param {string} name
 * @param {object} [body]
 * @returns {Promise<any>}
 */
async function control(simulator, method, name, body) {
  const answer = await fetch(`${simulator}/_simulator/${name}`, { method, body: body ? JSON.stringify(body) : null });
  const document = await answer.json();
  if (!answer.ok) throw new NotCompleted(`The simulated Gateway: ${document.error?.message ?? answer.status}`);
  return document;
}
