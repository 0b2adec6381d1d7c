// One sale, its receipts, and giving money back: seen before it is done.

import { all, get, once, Refused, send } from "/api.js";
import { changed } from "/changes.js";
import { AGAIN, asking } from "/dialogs.js";
import { $, make, say } from "/dom.js";
import { minorOf, money, plain } from "/money.js";
import { receiptLink, receiptsOf, statusOf } from "/receipts.js";
import { dateOf } from "/times.js";

// Whoever has more has as many as they like.
const MOST = 1000;
const FAILURES = {
  CREDITS_USED: "its credits were used meanwhile",
  PLACE_HELD: "the client has the place again",
  charge_disputed: "the client's bank disputes the payment",
  insufficient_funds: "there is not enough money at the payment provider",
};
// Milliseconds between looks at what became of a refund.
const LOOKS = [1000, 2000, 4000, 8000];

// What the dialog shows, and what it would give back.
let sale;
let preview;

export async function showSale(purchase, client, timeZone, refunds) {
  sale = purchase;
  const { quote, refundedMinor, state } = purchase;
  const [receipts, refunded] = await Promise.all([receiptsOf(purchase.name), all(`${studioOf(purchase)}/refunds`, "refunds", { purchase: purchase.name })]);
  const notThrough = refunded.filter((refund) => refund.state !== "SUCCEEDED");
  $("sale-title").textContent = quote.displayName;
  $("sale-text").textContent = `${client} · ${dateOf(purchase.createTime, timeZone)} · ${money(quote.totalMinor, quote.currencyCode)} · ${statusOf(purchase)}`;
  $("sale-receipts").replaceChildren(
    ...notThrough.map((refund) => make("li", { textContent: wayOf(refund, client) })),
    ...receipts.map((receipt) => make("li", {}, receiptLink(receipt))),
  );
  $("sale-form").reset();
  $("sale-fault").textContent = "";
  const possible = refunds && state === "FULFILLED" && Number(refundedMinor) < Number(quote.totalMinor) && (await isLeft());
  $("sale-refund").hidden = $("sale-go").hidden = !possible;
  let made;
  const done = await asking("sale", async ({ amount, reason }) => {
    const minor = minorOf(amount, quote.currencyCode);
    if (!(minor > 0)) throw new Refused("", { fields: { amount: "Please type an amount." } });
    // What was typed is shown first: nobody gives back what they have not read.
    if (minor !== Number(preview.amountMinor)) {
      await look(minor);
      return AGAIN;
    }
    if (!reason.trim()) throw new Refused("", { fields: { reason: "Please say why." } });
    const { amountMinor, creditsRevoked } = preview;
    try {
      made = await changed(once(`${studioOf(purchase)}/refunds`, { purchase: purchase.name, amountMinor, creditsRevoked, reason }));
    } catch (error) {
      if (error.reason === "PREVIEW_OUTDATED") await look(minor);
      throw error;
    }
  });
  if (!done) return;
  say(wayOf(made, client));
  follow(made, client).catch(() => {});
}

const studioOf = ({ name }) => name.split("/purchases/")[0];

function wayOf({ state, amountMinor, currencyCode, toGiftCard, failure }, client) {
  const amount = money(amountMinor, currencyCode);
  if (state === "FAILED") return `${amount} could not be given back: ${FAILURES[failure] ?? failure}.`;
  return `${amount} is on its way back to ${toGiftCard ? "the gift card" : client}.`;
}

// The provider may refuse a moment later; whoever gave money back reads of it.
async function follow(refund, client) {
  for (const wait of LOOKS) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const { state, ...rest } = await get(refund.name);
    if (state === "SUCCEEDED") return;
    if (state === "FAILED") return say(wayOf({ state, ...rest }, client), true);
  }
}

// Not when the rest is on its way back, or when what was sold is a gift card that was used up.
async function isLeft() {
  try {
    await look(0);
    return true;
  } catch (error) {
    if (error.reason === "ABOVE_REST") return false;
    throw error;
  }
}

async function look(minor) {
  const seen = await send(`${sale.name}:previewRefund`, { amountMinor: String(minor) });
  const amount = (value) => money(value, seen.currencyCode);
  preview = seen;
  $("sale-amount").value = plain(seen.amountMinor, seen.currencyCode);
  const counted = `Of ${seen.creditsLeft === 1 ? "1 credit that is" : `${seen.creditsLeft} credits that are`} left ${seen.creditsRevoked} would be taken away.`;
  const credits = seen.creditsLeft ? ` ${seen.creditsLeft > MOST ? "Its credits would be taken away in the same part." : counted}` : "";
  const later = Number(sale.quote.giftMinor) && !seen.toGiftCard ? ` What a gift card paid, ${amount(sale.quote.giftMinor)}, goes back to it in a second refund.` : "";
  const goesOn = sale.kind === "MEMBERSHIP" ? " The membership itself goes on." : "";
  $("sale-preview").textContent = `${amount(seen.amountMinor)} would go back${seen.toGiftCard ? " to the gift card" : ""}, of ${amount(seen.restMinor)} at most.${later}${credits}${goesOn}`;
  $("sale-go").textContent = `Refund ${amount(seen.amountMinor)}`;
}
