/**
 * The playground: asks what this run has, and starts the cards.
 */

import { config } from "./controls.js";
import { element, say, sentence } from "./page.js";
import { startTokensCard } from "./tokens-card.js";
import { startUserCard } from "./user-card.js";
import { startWebhooksCard } from "./webhooks-card.js";

try {
  const known = await config();
  say("api-url", known.api_url);
  if (!known.api_origins.includes(location.origin)) {
    throw new Error(`The API does not list this page's origin: add ${location.origin} to CORS_ORIGINS.`);
  }
  startUserCard(known);
  startTokensCard(known);
  startWebhooksCard(known);
} catch (error) {
  say("notice", sentence(error));
  element("notice", HTMLElement).hidden = false;
}
