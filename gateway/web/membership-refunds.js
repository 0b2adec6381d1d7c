// Ending a membership with what is unused given back, for who runs the studio: seen before it is done.

import { once, Refused, send } from "/api.js";
import { changed } from "/changes.js";
import { asking } from "/dialogs.js";
import { $ } from "/dom.js";
import { money } from "/money.js";

// Whether it was done.
export async function endWithRefund(membership, client) {
  let seen = await look(membership);
  $("give-back-label").textContent = `${membership.quote.displayName}, ${client}`;
  $("give-back-form").reset();
  return asking("give-back", async ({ reason }) => {
    if (!reason.trim()) throw new Refused("", { fields: { reason: "Please say why." } });
    try {
      await changed(once(`${membership.name}:refund`, { refundMinor: seen.refundMinor, reason }));
    } catch (error) {
      if (error.reason === "PREVIEW_OUTDATED") seen = await look(membership);
      throw error;
    }
  });
}

async function look(membership) {
  const seen = await send(`${membership.name}:previewRefund`, {});
  const amount = money(seen.refundMinor, seen.currencyCode);
  const counted = `${seen.creditsRevoked} ${seen.creditsRevoked === 1 ? "credit that is left is" : "credits that are left are"} taken away`;
  const taken = membership.unlimited ? "nothing can be booked with it any more" : counted;
  $("give-back-text").textContent = `It ends now, and nothing is charged any more. ${amount} goes back, and ${taken}.`;
  $("give-back-go").textContent = `End it and refund ${amount}`;
  return seen;
}
