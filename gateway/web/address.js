// What the address of the page that takes payments asks for.

import { payLink } from "/pay-link.js";

const NAMES = ["option", "purchase", "membership", "booking", "card", "replaces"];

export const asked = take();

// The provider's words in the address it comes back to are taken out before anything else: they hold a secret.
function take() {
  const query = new URLSearchParams(location.search);
  const kept = Object.fromEntries(NAMES.filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
  moveTo(kept);
  return { ...kept, returned: query.get("redirect_status") ?? "" };
}

// Loaded again, the page goes on from here.
export function moveTo(query) {
  history.replaceState(null, "", payLink(query));
}
