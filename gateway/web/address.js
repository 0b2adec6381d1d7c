// What the address of the page that takes payments asks for.

import { payLink } from "/pay-link.js";

// What may be asked for, and the names it has: a link is anybody's, so that nothing else is ever called by it.
const ID = "[0-9a-f-]{36}";
const NAMES = {
  option: `pricingOptions/${ID}`,
  purchase: `purchases/${ID}`,
  membership: `memberships/${ID}`,
  booking: `bookings/${ID}`,
  card: `clients/${ID}`,
  replaces: `clients/${ID}/paymentMethods/${ID}`,
};

export const asked = take();

// The provider's words in the address it comes back to are taken out before anything else: they hold a secret.
function take() {
  const query = new URLSearchParams(location.search);
  const isName = (of, name) => new RegExp(`^studios/${ID}/${NAMES[of]}$`).test(name);
  const kept = Object.fromEntries([...query].filter(([of, name]) => of in NAMES && isName(of, name)));
  moveTo(kept);
  return { ...kept, returned: query.get("redirect_status") ?? "" };
}

// Loaded again, the page goes on from here.
export function moveTo(query) {
  history.replaceState(null, "", payLink(query));
}
