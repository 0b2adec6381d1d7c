// What something costs, for whom, with which codes; then it is bought, or joined.

import { all, get, once, Refused, send } from "/api.js";
import { dueOf, follow } from "/buying.js";
import { $, act, make, onSubmit, show } from "/dom.js";
import { renewal } from "/intervals.js";
import { followMembership } from "/joining.js";
import { money } from "/money.js";
import { end } from "/payment-form.js";
import { termsOf } from "/shop.js";
import { dayOf, timeIn, timeOf } from "/times.js";

let studio;
let option;
let booking;
let quote;

export async function showOrder(place, wanted) {
  [studio, option] = [place, wanted];
  const clients = await all(`${studio.name}/clients`, "clients");
  if (!clients.length) throw new Refused("Become a client of this studio first.");
  $("terms").textContent = termsOf(option);
  $("with-gift-card").hidden = ["GIFT_CARD", "MEMBERSHIP"].includes(option.kind);
  $("use-code").textContent = $("with-gift-card").hidden ? "Use the code" : "Use the codes";
  $("client").replaceChildren(...clients.map(({ name, displayName }) => make("option", { value: name, textContent: displayName })));
  $("for-whom").hidden = clients.length < 2;
  await open();
}

// A place that is held, by itself: of what the studio sells for it, what costs least.
export async function showPlace(place, held) {
  [studio, booking] = [place, held];
  const begun = await all(`${studio.name}/purchases`, "purchases", { client: booking.client, kind: "DROP_IN", states: "OPEN" });
  const mine = begun.find((purchase) => purchase.booking === booking.name);
  if (mine) return follow(mine);
  const label = `${booking.classTypeDisplayName}, ${dayOf(booking.localStart)}, ${timeOf(booking.localStart)}`;
  if (booking.state === "CONFIRMED") return end("This place is yours.", label);
  if (booking.state !== "PENDING_PAYMENT") return end("This place is not held any more.", `Book the class again: ${label}.`);
  const options = (await all(`${studio.name}/pricingOptions`, "pricingOptions")).filter(({ kind }) => kind === "DROP_IN");
  const offers = await Promise.all(options.map((each) => quoted({ client: booking.client, pricingOption: each.name, booking: booking.name }).then(
    ({ totalMinor }) => ({ each, total: Number(totalMinor) }),
    (error) => ({ error }),
  )));
  const [best] = offers.filter(({ error }) => !error).sort((one, other) => one.total - other.total);
  if (!best) throw offers[0]?.error ?? new Refused("This class cannot be paid by itself. Buy a class pack to book it.");
  option = best.each;
  $("terms").textContent = `${label}. Held for you until ${timeIn(booking.holdExpireTime, booking.timeZone)}.`;
  $("client").replaceChildren(make("option", { value: booking.client }));
  await open();
}

async function open() {
  $("what").textContent = option.displayName;
  await ask();
  show("order");
}

// What is too little for a card is said in the studio's money.
const quoted = (wanted) => send(`${studio.name}/purchases:quote`, wanted).catch((error) => {
  const { reason, metadata } = error;
  if (reason !== "AMOUNT_TOO_SMALL") throw error;
  const words = `Less than ${money(metadata.smallest_minor, metadata.currency_code)} cannot be paid by card.`;
  throw new Refused(words, { reason, fields: wanted.code ? { code: words } : {} });
});
const codes = () => ({ code: $("code").value.trim(), giftCardCode: $("gift-card-code").value.trim() });

// What it costs whom, with which code.
async function ask() {
  const wanted = { client: $("client").value, pricingOption: option.name, ...codes(), ...(booking && { booking: booking.name }) };
  const answer = await quoted(wanted);
  quote = { ...wanted, totalMinor: answer.totalMinor, giftMinor: answer.giftMinor };
  const amount = (minor) => money(minor, answer.currencyCode);
  const line = (what, minor, className = "") => [make("dt", { className, textContent: what }), make("dd", { className, textContent: amount(minor) })];
  const taxed = Number(answer.taxMinor) > 0;
  const isMembership = option.kind === "MEMBERSHIP";
  $("lines").replaceChildren(
    ...line("Price", answer.priceMinor),
    ...(Number(answer.discountMinor) ? line("Discount", -Number(answer.discountMinor)) : []),
    ...(taxed ? line("Tax included in the total", answer.taxMinor) : []),
    ...line("Total", answer.totalMinor, "total"),
    ...(Number(answer.giftMinor) ? [...line("Gift card", -Number(answer.giftMinor)), ...line("To pay", dueOf(answer), "total")] : []),
  );
  const kept = Number(answer.giftKeptMinor) ? [`Less than ${amount(dueOf(answer))} cannot be paid by card, so ${amount(answer.giftKeptMinor)} more stay on the gift card.`] : [];
  const renews = isMembership ? renewal(option, amount(answer.renewalMinor), studio.timeZone) : [];
  $("renewal").replaceChildren(...[...kept, ...renews].map((text) => make("p", { textContent: text })));
  $("go-on").textContent = dueOf(answer) || isMembership ? "Continue to payment" : "Get it";
}

async function buy() {
  try {
    return await once(`${studio.name}/purchases`, quote);
  } catch (error) {
    if (error.reason !== "PURCHASE_EXISTS") throw error;
    // Bought in another window.
    return get(error.metadata.purchase);
  }
}

async function join() {
  const { client, pricingOption, totalMinor, code } = quote;
  try {
    return await once(`${studio.name}/memberships`, { client, pricingOption, totalMinor, ...(code && { code }) });
  } catch (error) {
    if (error.reason !== "ALREADY_MEMBER") throw error;
    // Joined in another window, and not paid yet: that one goes on.
    const pending = await all(`${studio.name}/memberships`, "memberships", { client, state: "PENDING" });
    const mine = pending.find((membership) => membership.pricingOption === pricingOption);
    if (!mine) throw error;
    return mine;
  }
}

// Made now, and its payment started: pressed twice it is one.
onSubmit("order", async () => {
  const { code, giftCardCode } = codes();
  if (code !== quote.code || giftCardCode !== quote.giftCardCode || $("client").value !== quote.client) await ask();
  try {
    if (option.kind === "MEMBERSHIP") await followMembership(await join(), studio.timeZone);
    else await follow(await buy());
  } catch (error) {
    if (error.reason === "PRICE_CHANGED") await ask();
    throw error;
  }
});
$("use-code").addEventListener("click", (event) => act(event.target, ask));
$("client").addEventListener("change", (event) => act(event.target, ask));
