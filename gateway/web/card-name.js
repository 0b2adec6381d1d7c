// A saved card as people tell it from others, and until when it is good.

import { now } from "/api.js";
import { dateOf, monthOf } from "/times.js";

const BRANDS = { amex: "American Express", diners: "Diners Club", unionpay: "UnionPay", jcb: "JCB" };
const ACCOUNTS = { us_bank_account: "Bank account", sepa_debit: "Bank account" };

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const cardName = ({ brand, last4 }) => [BRANDS[brand] ?? ACCOUNTS[brand] ?? capital(brand), last4].filter(Boolean).join(" ending in ");

const month = ({ expireMonth }) => String(expireMonth).padStart(2, "0");

export const expiryOf = (card) => `Good until ${month(card)}/${card.expireYear}`;

export const paidWith = ({ card }) => (card ? `Paid with ${cardName(card)}` : "");

// Whether the card of a membership will be good when it is charged next; nothing is said of what is charged no more.
export function expiryWarning({ state, card, cancelAtPeriodEnd, periodEndTime }, timeZone) {
  if (!card?.expireYear || cancelAtPeriodEnd) return "";
  const last = `${card.expireYear}-${month(card)}`;
  if (last < monthOf(now(), timeZone)) return "This card has expired. Choose another, or replace it.";
  if (state !== "ACTIVE" || last >= monthOf(periodEndTime, timeZone)) return "";
  return `This card expires before it is charged on ${dateOf(periodEndTime, timeZone)}. Choose another, or replace it.`;
}
