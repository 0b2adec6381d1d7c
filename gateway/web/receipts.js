// What a client has bought so far, and the documents about it.

import { all, get } from "/api.js";
import { empty, make } from "/dom.js";
import { money } from "/money.js";
import { payLink } from "/pay-link.js";
import { dateOf } from "/times.js";

const DOCUMENTS = { RECEIPT: "Receipt", CREDIT_NOTE: "Credit note", CREDIT_NOTE_REVERSAL: "Reversal of a credit note" };
export const KINDS = { CLASS_PACK: "Class packs", MEMBERSHIP: "Memberships", DROP_IN: "Single classes", GIFT_CARD: "Gift cards", FEE: "Fees" };
export const STATES = { OPEN: "To be paid", PAID: "Paid", FULFILLED: "Paid", CANCELLED: "Given up", RETURNED: "Returned" };
// Of the history, on one page.
const LATEST = 20;

const numberOf = (receipt) => receipt.number.padStart(6, "0");

export const receiptsOf = (purchase) => all(`${purchase.split("/purchases/")[0]}/receipts`, "receipts", { purchase });

export function receiptLink(receipt) {
  const what = `${DOCUMENTS[receipt.kind]} ${numberOf(receipt)}`;
  return make("a", { href: `/v1/${receipt.name}:download`, download: `${what}.pdf`, textContent: `${what} (PDF)` });
}

// The latest purchases that came to something, with their documents; none is no list.
export async function history(studio, timeZone) {
  const query = new URLSearchParams({ pageSize: LATEST });
  for (const state of ["OPEN", "PAID", "FULFILLED", "RETURNED"]) query.append("states", state);
  const [{ purchases }, receipts] = await Promise.all([get(`${studio}/purchases?${query}`), all(`${studio}/receipts`, "receipts")]);
  return purchaseList(purchases, receipts, timeZone, true);
}

// `pays`: whether the person may pay what is not paid yet.
export function purchaseList(purchases, receipts, timeZone, pays) {
  if (!purchases.length) return [empty("Nothing bought yet.")];
  const documents = Map.groupBy(receipts, (receipt) => receipt.purchase);
  return [make("ul", {}, ...purchases.map((purchase) => purchaseRow(purchase, documents.get(purchase.name) ?? [], timeZone, pays)))];
}

export function statusOf({ state, processing, refundedMinor, quote }) {
  return (processing ? "Your bank is at it" : STATES[state]) + (Number(refundedMinor) ? ` · ${money(refundedMinor, quote.currencyCode)} refunded` : "");
}

function purchaseRow(purchase, receipts, timeZone, pays) {
  const amount = money(purchase.quote.totalMinor, purchase.quote.currencyCode);
  const said = `${dateOf(purchase.createTime, timeZone)} · ${amount} · ${statusOf(purchase)}`;
  const links = receipts.map(receiptLink);
  if (pays && purchase.state === "OPEN" && !purchase.processing) links.push(make("a", { href: payLink({ purchase: purchase.name }), textContent: "Pay it" }));
  return make(
    "li", {},
    make("div", { className: "what" }, purchase.quote.displayName, make("small", { textContent: said }), ...links.map((link) => make("small", {}, link))),
  );
}
