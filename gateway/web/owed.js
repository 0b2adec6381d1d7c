// What a client owes the studio, and why.

import { all, get } from "/api.js";
import { make } from "/dom.js";
import { money } from "/money.js";
import { payLink } from "/pay-link.js";
import { labelOf, lines, plainRow } from "/rows.js";
import { dateOf, momentOf } from "/times.js";

// Fees that wait for their payment, each with the class it is about.
export async function openFees(studio) {
  const fees = await all(`${studio}/purchases`, "purchases", { kind: "FEE", states: "OPEN" });
  // Not worth a page that cannot be used: without an answer a fee stands there without its class.
  const booking = (purchase) => (purchase.booking ? get(purchase.booking).catch(() => null) : null);
  return Promise.all(fees.map(async (purchase) => ({ purchase, booking: await booking(purchase) })));
}

export const owedRows = (fees, timeZone) => make("ul", {}, ...fees.map(({ purchase, booking }) => feeRow(purchase, booking, timeZone)));

function feeRow({ name, quote, attempts, createTime }, booking, timeZone) {
  const [last] = attempts;
  const tried = last && !last.succeeded ? `Tried ${momentOf(last.createTime, timeZone)}: ${last.message}` : "";
  const about = booking ? labelOf(booking) : `Since ${dateOf(createTime, timeZone)}`;
  const due = money(quote.totalMinor, quote.currencyCode);
  const pay = make("a", { className: "button", href: payLink({ purchase: name }), textContent: `Pay ${due}`, ariaLabel: `Pay ${due} for ${quote.displayName}` });
  return plainRow(name, quote.displayName, lines(about, tried), [pay]);
}
