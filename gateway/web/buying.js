// A purchase that is being paid, and what became of it: told by our server as it happens, wherever it came from.

import { all, get, now, once, Refused, send } from "/api.js";
import { asked, moveTo } from "/address.js";
import { isUnlimited } from "/credits.js";
import { $, make, say } from "/dom.js";
import { offer } from "/gift-cards.js";
import { money } from "/money.js";
import { decline, end, mount, mounted, note, offerCards, present, showForm } from "/payment-form.js";
import { receiptLink, receiptsOf } from "/receipts.js";
import { dayOf, timeOf, timeIn } from "/times.js";

// Milliseconds until a watch that was refused is tried again.
const LATER = 3000;
const RETURNED = {
  PLACE_GONE: "The place was gone by then.",
  ALREADY_PAID: "It was paid at the studio meanwhile.",
  CANCELLED: "You gave the place back in time.",
  WAIVED: "The studio has let it go.",
  VOID: "It was not owed after all.",
};
const LATE = "books it again if there is room; if there is none, all of it comes back to you at once.";

let watch;
// What the page shows of the purchase: who tries again after a refusal is not moved by old news.
let shown = "";

export const dueOf = ({ totalMinor, giftMinor }) => Number(totalMinor) - Number(giftMinor);

export async function follow(purchase) {
  moveTo({ purchase: purchase.name });
  const due = money(dueOf(purchase.quote), purchase.quote.currencyCode);
  present({
    title: `Pay ${due} for ${purchase.quote.displayName}`,
    label: `Pay ${due}`,
    // A fee is the studio's to let go.
    giveUp: purchase.kind !== "FEE" && (() => giveUp(purchase)),
    giveUpLabel: purchase.kind === "DROP_IN" ? "Give the place back" : "Give up this purchase",
    choose: (wish) => send(`${purchase.name}:pay`, wish),
    sent: () => (asked.returned = ""),
  });
  if (purchase.kind === "DROP_IN" && purchase.state === "OPEN") hold(await get(purchase.booking));
  await tell(purchase);
  listen(purchase.name);
}

async function giveUp(purchase) {
  const given = await send(`${purchase.name}:cancel`, {});
  // If that fails, the place is free when its time is over.
  if (purchase.kind === "DROP_IN") await once(`${purchase.booking}:cancel`, {}).catch(() => {});
  await tell(given);
}

// Until when the place is held, and what happens then.
function hold(booking) {
  const left = new Date(booking.holdExpireTime) - now();
  const label = `${booking.classTypeDisplayName}, ${dayOf(booking.localStart)}, ${timeOf(booking.localStart)}`;
  if (!(left > 0)) return note([`Your place in ${label} is not held any more. Paying now ${LATE}`]);
  note([`Your place in ${label} is held until ${timeIn(booking.holdExpireTime, booking.timeZone)}. After that others can have it: a later payment ${LATE}`]);
  setTimeout(() => hold(booking), left + 500);
}

// Each change of the purchase.
function listen(name) {
  watch?.close();
  watch = new EventSource(`/v1/${name}:watch`);
  watch.onmessage = (event) => tell(JSON.parse(event.data)).catch(lost);
  // It comes back by itself after an end; not after a refusal.
  watch.onerror = () => watch.readyState === EventSource.CLOSED && setTimeout(() => listenAgain(name), LATER);
}

// What was refused may be the session.
async function listenAgain(name) {
  try {
    await get(name);
  } catch (error) {
    if (error.signedOut) return lost(error);
  }
  listen(name);
}

// Nobody pressed anything that could show what is wrong.
function lost(error) {
  if (!(error instanceof Refused)) throw error;
  shown = "";
  if (error.signedOut) document.dispatchEvent(new Event("signed-out"));
  else say(error.message, true);
}

async function tell(purchase) {
  const [attempt] = purchase.attempts;
  const state = `${purchase.state} ${purchase.processing} ${purchase.attempts.length}`;
  if (state === shown) return;
  shown = state;
  if (purchase.processing) return end("Your bank is at it.", "That can take some days. You get what you bought, and a mail, once it has paid.");
  if (purchase.tooSmall) return end("Please settle this at the studio.", "It is less than can be paid by card. Your studio may also let it go.");
  if (purchase.state === "OPEN") {
    if (!mounted() && !(await open(purchase))) return tell(await get(purchase.name));
    if (attempt && !attempt.succeeded) decline();
    else if (asked.returned) say("Your bank has not told us yet. This page will show it.");
    return showForm();
  }
  say("");
  if (purchase.state === "PAID") return end("Paid. Thank you.", "What you bought is on its way to you.");
  watch?.close();
  const gone = purchase.kind === "FEE" && "You do not owe this any more.";
  if (purchase.state === "CANCELLED") return end(gone || "This purchase was given up.", "Nothing was paid.");
  if (purchase.state === "RETURNED") {
    return end(gone || "You could not have it any more.", `${RETURNED[purchase.returnReason] ?? ""} Your money is on its way back to you.`.trim());
  }
  end("Done. Thank you.", await gained(purchase));
  await showReceipts(purchase);
}

// False when there is nothing to pay any more: asking for the payment finds out first.
async function open(purchase) {
  const session = await send(`${purchase.name}:pay`, {}).catch((error) => {
    if (!["ALREADY_PAID", "CANCELLED", "PAYMENT_PROCESSING"].includes(error.reason)) throw error;
  });
  if (!session) return false;
  mount(session);
  // Without an answer any card pays all the same.
  await savedFor(purchase.client).then(offerCards).catch(() => {});
  return true;
}

// Who has a guardian pays with the guardian's cards.
async function savedFor(client) {
  const { guardian } = await get(client);
  return all(`${guardian || client}/paymentMethods`, "paymentMethods");
}

// A receipt is written a moment after the payment.
export async function showReceipts(purchase, looks = 10) {
  const receipts = await receiptsOf(purchase.name);
  $("receipts").replaceChildren(...receipts.map((receipt) => make("li", {}, receiptLink(receipt))));
  if (!receipts.length && Number(purchase.quote.totalMinor) && looks) setTimeout(() => showReceipts(purchase, looks - 1), 1000);
}

async function gained(purchase) {
  if (purchase.giftCard) {
    const card = await offer(purchase.giftCard);
    $("done").textContent = "Back to the studio";
    return `${purchase.quote.displayName}: ${money(card.balanceMinor, card.currencyCode)} to give away. Send it by mail, or show its code and pass that on.`;
  }
  if (purchase.kind === "FEE") {
    $("done").textContent = "Back to the studio";
    return `${purchase.quote.displayName}: paid.`;
  }
  if (purchase.booking) {
    const booking = await get(purchase.booking);
    return `You are booked: ${booking.classTypeDisplayName}, ${dayOf(booking.localStart)}, ${timeOf(booking.localStart)}${booking.spot ? `, ${booking.spot}` : ""}.`;
  }
  if (!purchase.clientPackage) return purchase.quote.displayName;
  const pack = await get(purchase.clientPackage);
  if (isUnlimited(pack)) return `${pack.displayName}: book as often as you like.`;
  return `${pack.displayName}: you have ${pack.creditsLeft} ${pack.creditsLeft === 1 ? "credit" : "credits"}.`;
}
