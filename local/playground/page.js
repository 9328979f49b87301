/**
 * What the cards share: elements by their id, durations in words, and a line that says how something went.
 */

/**
 * @template {HTMLElement} E
 * @param {string} id
 * @param {new () => E} type
 * @returns {E}
 */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} #${id}.`);
  return found;
}

/**
 * @param {string} id
 * @param {string} text
 */
export function say(id, text) {
  const target = element(id, HTMLElement);
  // Writing the same again would have it read out again.
  if (target.textContent !== text) target.textContent = text;
}

/**
 * @typedef {"good" | "bad" | "warn" | "neutral"} Tone
 *
 * @param {string} id
 * @param {string} text
 * @param {Tone} tone
 */
export function sayWith(id, text, tone) {
  element(id, HTMLElement).dataset["tone"] = tone;
  say(id, text);
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  if (minutes < 2880) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

/**
 * @param {string} id
 * @param {number} share From 0 to 1.
 * @param {string} words
 * @param {Tone} tone
 */
export function setMeter(id, share, words, tone) {
  const meter = element(id, HTMLElement);
  const percent = Math.round(Math.min(1, Math.max(0, share)) * 100);
  meter.style.setProperty("--share", `${percent}%`);
  meter.dataset["tone"] = tone;
  meter.setAttribute("aria-valuenow", String(percent));
  meter.setAttribute("aria-valuetext", words);
}

/**
 * Run something for a button: it cannot be pressed again meanwhile, keeps the focus, and a failure is said.
 *
 * @param {string} id
 * @param {string} result Where a failure is said.
 * @param {() => Promise<void>} action
 */
export function onPress(id, result, action) {
  const button = element(id, HTMLButtonElement);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    try {
      await action();
    } catch (error) {
      sayWith(result, sentence(error), "bad");
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function sentence(error) {
  if (error instanceof TypeError) return "No answer. Is `make run` still running, and does it list this page's origin?";
  return error instanceof Error ? error.message : String(error);
}

/**
 * Do something now and then, while somebody is looking.
 *
 * @param {number} seconds
 * @param {() => Promise<unknown>} action
 */
export function every(seconds, action) {
  const tick = async () => {
    try {
      if (!document.hidden) await action();
      say("notice", "");
    } catch (error) {
      say("notice", sentence(error));
    }
    element("notice", HTMLElement).hidden = element("notice", HTMLElement).textContent === "";
    setTimeout(tick, seconds * 1000);
  };
  tick();
}
