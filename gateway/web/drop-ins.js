// A place in one class, paid by itself: for who has no credit for it.

import { once, send } from "/api.js";
import { asking } from "/dialogs.js";
import { $ } from "/dom.js";
import { money } from "/money.js";
import { payLink } from "/pay-link.js";
import { labelOf } from "/rows.js";
import { shopItems } from "/shop.js";

// Offers to pay for this class alone, beside what else the studio sells.
export async function offerPlace(studio, session, spot, options) {
  const places = options.filter(({ kind }) => kind === "DROP_IN");
  const wanted = { classSession: session.classSession, spot, dropIn: true };
  const preview = places.length ? await send(`${studio}/bookings:preview`, wanted) : {};
  $("no-credit-label").textContent = labelOf(session);
  $("no-credit-pay").hidden = !preview.bookable;
  if (preview.bookable) $("no-credit-pay").textContent = `Pay for this class · ${priceOf(places, preview)}`;
  $("no-credit-text").textContent = preview.bookable
    ? "Pay for this class alone: your place is held while you pay. Or get something for more classes:"
    : "Get something to book with:";
  $("no-credit-shop").replaceChildren(...shopItems(options.filter(({ kind }) => kind !== "GIFT_CARD")));
  await asking("no-credit", async () => {
    const booking = await once(`${studio}/bookings`, wanted);
    location.assign(payLink({ booking: booking.name }));
  });
}

// An option without a price of its own costs what booking says; which of several fits the class is seen on the next page.
function priceOf(places, { priceMinor, currencyCode }) {
  const prices = places.map((option) => Number(option.totalMinor) || Number(priceMinor));
  const least = money(Math.min(...prices), currencyCode);
  const tax = places.some((option) => option.taxAdded && !Number(option.totalMinor)) ? " plus tax" : "";
  return `${new Set(prices).size > 1 ? "from " : ""}${least}${tax}`;
}
