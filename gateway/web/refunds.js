// One sale, its receipts, and giving money back: seen before it is done.

import { once, Refused, send } from "/api.js";
import { changed } from "/changes.js";
import { AGAIN, asking } from "/dialogs.js";
import { $, make, say } from "/dom.js";
import { minorOf, money, plain } from "/money.js";
import { receiptLink, receiptsOf, statusOf } from "/receipts.js";
import { dateOf } from "/times.js";

// Whoever has more has as many as they like.
const MOST = 1000;

// What the dialog shows, and what it would give back.
let sale;
let preview;

export async function showSale(purchase, client, timeZone, refunds) {
  sale = purchase;
  const { quote, refundedMinor, state } = purchase;
  const receipts = await receiptsOf(purchase.name);
  $("sale-title").textContent = quote.displayName;
  $("sale-text").textContent = `${client} · ${dateOf(purchase.createTime, timeZone)} · ${money(quote.totalMinor, quote.currencyCode)} · ${statusOf(purchase)}`;
  $("sale-receipts").replaceChildren(...receipts.map((receipt) => make("li", {}, receiptLink(receipt))));
  const possible = refunds && state === "FULFILLED" && Number(refundedMinor) < Number(quote.totalMinor);
  $("sale-refund").hidden = $("sale-go").hidden = !possible;
  $("sale-form").reset();
  $("sale-fault").textContent = "";
  if (possible) await look(0);
  const done = await asking("sale", async ({ amount, reason }) => {
    const minor = minorOf(amount, quote.currencyCode);
    if (!(minor > 0)) throw new Refused("", { fields: { amount: "Please type an amount." } });
    // What was typed is shown first: nobody gives back what they have not read.
    if (minor !== Number(preview.amountMinor)) {
      await look(minor);
      return AGAIN;
    }
    const { amountMinor, creditsRevoked } = preview;
    await changed(once(`${purchase.name.split("/purchases/")[0]}/refunds`, { purchase: purchase.name, amountMinor, creditsRevoked, reason }));
  });
  if (done) say(`${money(preview.amountMinor, quote.currencyCode)} is on its way back to ${preview.toGiftCard ? "the gift card" : client}.`);
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
