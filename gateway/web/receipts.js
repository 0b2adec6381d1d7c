// What a client has bought so far, and the documents about it.

import { all, get } from "/api.js";
import { empty, make } from "/dom.js";
import { money } from "/money.js";
import { dateOf } from "/times.js";

const KINDS = { RECEIPT: "Receipt", CREDIT_NOTE: "Credit note", CREDIT_NOTE_REVERSAL: "Reversal of a credit note" };
const STATES = { OPEN: "To be paid", PAID: "Paid", FULFILLED: "Paid", CANCELLED: "Given up", RETURNED: "Returned" };
// Of the history, on one page.
const LATEST = 20;

const numberOf = (receipt) => receipt.number.padStart(6, "0");

export const receiptsOf = (purchase) => all(`${purchase.split("/purchases/")[0]}/receipts`, "receipts", { purchase });

export function receiptLink(receipt) {
  const what = `${KINDS[receipt.kind]} ${numberOf(receipt)}`;
  return make("a", { href: `/v1/${receipt.name}:download`, download: `${what}.pdf`, textContent: `${what} (PDF)` });
}

// The latest purchases that came to something, with their documents; none is no list.
export async function history(studio, timeZone) {
  const query = new URLSearchParams({ pageSize: LATEST });
  for (const state of ["OPEN", "PAID", "FULFILLED", "RETURNED"]) query.append("states", state);
  const [{ purchases }, receipts] = await Promise.all([get(`${studio}/purchases?${query}`), all(`${studio}/receipts`, "receipts")]);
  if (!purchases.length) return [empty("Nothing bought yet.")];
  const documents = Map.groupBy(receipts, (receipt) => receipt.purchase);
  return [make("ul", {}, ...purchases.map((purchase) => purchaseRow(purchase, documents.get(purchase.name) ?? [], timeZone)))];
}

function purchaseRow(purchase, receipts, timeZone) {
  const amount = (minor) => money(minor, purchase.quote.currencyCode);
  const refunded = Number(purchase.refundedMinor) ? ` · ${amount(purchase.refundedMinor)} refunded` : "";
  const state = purchase.processing ? "Your bank is at it" : STATES[purchase.state];
  const said = `${dateOf(purchase.createTime, timeZone)} · ${amount(purchase.quote.totalMinor)} · ${state}${refunded}`;
  const links = receipts.map(receiptLink);
  if (purchase.state === "OPEN" && !purchase.processing) links.push(make("a", { href: `/pay?${new URLSearchParams({ purchase: purchase.name })}`, textContent: "Pay it" }));
  return make(
    "li", {},
    make("div", { className: "what" }, purchase.quote.displayName, make("small", { textContent: said }), ...links.map((link) => make("small", {}, link))),
  );
}
