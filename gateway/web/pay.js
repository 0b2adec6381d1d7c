// Paying: what it costs, the provider's form, and what became of it. Whether it is paid is for the studio's server to say,
// never for this page.

import { all, get, once, Refused, send } from "/api.js";
import { $, act, make, onSubmit, say, show } from "/dom.js";
import { offer } from "/gift_cards.js";
import { money } from "/money.js";
import { receiptLink, receiptsOf } from "/receipts.js";
import { termsOf } from "/shop.js";

const DECLINED = "Payment declined. Please try different card.";
// Milliseconds until a watch that was refused is tried again.
const LATER = 3000;

const asked = takeAddress();
const studio = /^studios\/[0-9a-f-]{36}/.exec(asked.option ?? asked.purchase ?? "")?.[0];
let option;
let quote;
// The provider, with the fields of one payment.
let provider;
let watch;
// What the page shows of the purchase: who tries again after a refusal is not moved by old news.
let shown = "";

// The provider's words in the address it comes back to are taken out before anything else: they hold a secret.
function takeAddress() {
  const query = new URLSearchParams(location.search);
  const kept = Object.fromEntries(["option", "purchase"].filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
  history.replaceState(null, "", `/pay?${new URLSearchParams(kept)}`);
  return { ...kept, returned: query.has("redirect_status") };
}

async function start() {
  if (!studio) throw new Refused("Please choose at the studio what to buy.");
  $("back").href = $("done").href = `/?studio=${studio.split("/")[1]}`;
  let person;
  try {
    person = await get("accounts/me");
  } catch (error) {
    if (error.signedOut) location.assign($("back").href);
    throw error;
  }
  $("who").textContent = person.account.displayName;
  $("studio-name").textContent = (await get(studio)).displayName;
  if (asked.purchase) return follow(await get(asked.purchase));
  const [found, clients] = await Promise.all([get(asked.option), all(`${studio}/clients`, "clients")]);
  if (!clients.length) throw new Refused("Become a client of this studio first.");
  option = found;
  $("what").textContent = option.displayName;
  $("terms").textContent = termsOf(option);
  $("with-gift-card").hidden = option.kind === "GIFT_CARD";
  $("client").replaceChildren(...clients.map(({ name, displayName }) => make("option", { value: name, textContent: displayName })));
  $("for-whom").hidden = clients.length < 2;
  await ask();
  show("order");
}

// What it costs whom, with which code.
async function ask() {
  const wanted = { client: $("client").value, pricingOption: option.name, ...codes() };
  const answer = await send(`${studio}/purchases:quote`, wanted);
  quote = { ...wanted, totalMinor: answer.totalMinor, giftMinor: answer.giftMinor };
  const amount = (minor) => money(minor, answer.currencyCode);
  const line = (what, minor, className = "") => [make("dt", { className, textContent: what }), make("dd", { className, textContent: amount(minor) })];
  const taxed = Number(answer.taxMinor) > 0;
  $("lines").replaceChildren(
    ...line("Price", answer.priceMinor),
    ...(Number(answer.discountMinor) ? line("Discount", -Number(answer.discountMinor)) : []),
    ...(taxed ? line("Tax included in the total", answer.taxMinor) : []),
    ...line("Total", answer.totalMinor, "total"),
    ...(Number(answer.giftMinor) ? [...line("Gift card", -Number(answer.giftMinor)), ...line("To pay", dueOf(answer), "total")] : []),
  );
  $("go-on").textContent = dueOf(answer) ? "Continue to payment" : "Get it";
}

const codes = () => ({ code: $("code").value.trim(), giftCardCode: $("gift-card-code").value.trim() });
const dueOf = ({ totalMinor, giftMinor }) => Number(totalMinor) - Number(giftMinor);

// The purchase is made now, and its payment started: pressed twice it is one.
onSubmit("order", async () => {
  const { code, giftCardCode } = codes();
  if (code !== quote.code || giftCardCode !== quote.giftCardCode || $("client").value !== quote.client) await ask();
  let purchase;
  try {
    purchase = await once(`${studio}/purchases`, quote);
  } catch (error) {
    if (error.reason === "PRICE_CHANGED") await ask();
    throw error;
  }
  history.replaceState(null, "", `/pay?${new URLSearchParams({ purchase: purchase.name })}`);
  await follow(purchase);
});

async function follow(purchase) {
  const due = money(dueOf(purchase.quote), purchase.quote.currencyCode);
  $("paying").textContent = `Pay ${due} for ${purchase.quote.displayName}`;
  $("pay").textContent = `Pay ${due}`;
  asked.purchase = purchase.name;
  await tell(purchase);
  listen(purchase.name);
}

// Each change of the purchase, as the server tells it.
function listen(name) {
  watch?.close();
  watch = new EventSource(`/v1/${name}:watch`);
  watch.onmessage = (event) => tell(JSON.parse(event.data));
  // It comes back by itself after an end; not after a refusal.
  watch.onerror = () => watch.readyState === EventSource.CLOSED && setTimeout(() => listen(name), LATER);
}

async function tell(purchase) {
  const [attempt] = purchase.attempts;
  const state = `${purchase.state} ${purchase.attempts.length}`;
  if (state === shown) return;
  shown = state;
  if (purchase.state === "OPEN") {
    if (!provider && !(await mount(purchase))) return tell(await get(purchase.name));
    if (attempt && !attempt.succeeded) decline();
    else if (asked.returned) say("Your bank has not told us yet. This page will show it.");
    return show("payment");
  }
  say("");
  if (purchase.state === "PAID") return end("Paid. Thank you.", "What you bought is on its way to you.");
  watch?.close();
  if (purchase.state === "CANCELLED") return end("This purchase was given up.", "Nothing was paid.");
  if (purchase.state === "RETURNED") return end("You could not have it any more.", "Your money is on its way back to you.");
  end("Done. Thank you.", await gained(purchase));
  await showReceipts(purchase);
}

// A receipt is written a moment after the payment.
async function showReceipts(purchase, looks = 10) {
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
  if (!purchase.clientPackage) return purchase.quote.displayName;
  const pack = await get(purchase.clientPackage);
  return `${pack.displayName}: you have ${pack.creditsLeft} ${pack.creditsLeft === 1 ? "credit" : "credits"}.`;
}

function end(title, text) {
  $("outcome-title").textContent = title;
  $("outcome-text").textContent = text;
  show("outcome");
  $("outcome-title").focus();
}

function decline(detail = "") {
  $("declined").textContent = DECLINED + (detail && ` ${detail}`);
}

// The provider's own fields: no number of a card ever comes near this page.
// False when there is nothing to pay any more: asking for the payment finds out first.
async function mount(purchase) {
  const payment = await send(`${purchase.name}:pay`, {}).catch((error) => {
    if (!["ALREADY_PAID", "CANCELLED"].includes(error.reason)) throw error;
  });
  if (!payment) return false;
  const { clientSecret, publishableKey, externalAccount } = payment;
  if (!window.Stripe) throw new Refused("The payment form could not be loaded. Please load the page again.");
  const stripe = window.Stripe(publishableKey, externalAccount ? { stripeAccount: externalAccount } : {});
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const elements = stripe.elements({ clientSecret, appearance: { theme: dark ? "night" : "stripe" } });
  elements.create("payment").mount("#element");
  provider = { stripe, elements };
  return true;
}

onSubmit("payment", async () => {
  $("declined").textContent = "";
  asked.returned = false;
  const { error } = await provider.stripe.confirmPayment({
    elements: provider.elements,
    confirmParams: { return_url: location.href },
    redirect: "if_required",
  });
  if (!error) return say("Paying …");
  // What is wrong in its fields the provider says beside them.
  if (error.type === "card_error") decline(error.message);
  else if (error.type !== "validation_error") throw new Refused(error.message ?? "Something went wrong. Please try again.");
});

$("use-code").addEventListener("click", (event) => act(event.target, ask));
$("client").addEventListener("change", (event) => act(event.target, ask));
$("give-up").addEventListener("click", (event) => act(event.target, async () => {
  await tell(await send(`${asked.purchase}:cancel`, {}));
}));
$("notice-close").addEventListener("click", () => say(""));

async function load() {
  try {
    await start();
  } catch (error) {
    show("broken");
    throw error;
  }
}
$("again").addEventListener("click", (event) => act(event.target, load));
document.addEventListener("signed-out", () => location.assign($("back").href));
await act($("again"), load);
