// The form of the payment provider, and what became of it. Its fields are the provider's own: no number of a card ever
// comes near this page.

import { Refused } from "/api.js";
import { cardName, expiryOf } from "/card-name.js";
import { $, act, make, onSubmit, say, show } from "/dom.js";

const DECLINED = "Payment declined. Please try different card.";

let provider;
let form = {};
// Which card is to pay, and whether it is kept, as our server knows it.
let wished = { paymentMethod: "", saveCard: false };

export const mounted = () => Boolean(provider);

// `title`, `label` of the button, `notes` below the title, `giveUp` where that is possible; `choose` tells our server which
// saved card pays, or that a new one is kept; `sent` runs once the provider took it.
export function present(texts) {
  form = texts;
  $("paying").textContent = form.title;
  $("pay").textContent = form.label;
  $("give-up").hidden = !form.giveUp;
  $("give-up").textContent = form.giveUpLabel ?? "";
  note(form.notes ?? []);
}

export function note(texts) {
  $("notes").replaceChildren(...texts.map((text) => make("p", { textContent: text })));
}

// `session` is what our server answers to who wants to pay, or to save a card.
export function mount({ clientSecret, publishableKey, externalAccount }) {
  if (!window.Stripe) throw new Refused("The payment form could not be loaded. Please load the page again.");
  const stripe = window.Stripe(publishableKey, externalAccount ? { stripeAccount: externalAccount } : {});
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const elements = stripe.elements({ clientSecret, appearance: { theme: dark ? "night" : "stripe" } });
  elements.create("payment").mount("#element");
  const confirm = clientSecret.startsWith("seti_") ? stripe.confirmSetup : stripe.confirmPayment;
  provider = { confirm, clientSecret, elements };
}

// Cards that may pay instead of a new one, and whether a new one may be kept.
export function offerCards(cards) {
  const usual = cards.find(({ isDefault }) => isDefault) ?? cards[0];
  const radio = (value, checked, ...said) => make("label", { className: "check" }, make("input", { type: "radio", name: "card", value, checked }), ...said);
  $("saved").replaceChildren(
    $("saved").firstElementChild,
    ...cards.map((card) => radio(card.name, card === usual, cardName(card), make("small", { textContent: expiryOf(card) }))),
    radio("", !cards.length, "Another card or wallet"),
  );
  $("saved").hidden = !cards.length;
  const fit = () => {
    const anew = !$("payment").elements.card.value;
    for (const id of ["element", "keep"]) $(id).hidden = !anew;
  };
  $("saved").onchange = fit;
  fit();
}

export function showForm() {
  show("payment");
}

export function decline(detail = "") {
  $("declined").textContent = (form.declined ?? DECLINED) + (detail && ` ${detail}`);
}

export function end(title, text) {
  $("outcome-title").textContent = title;
  $("outcome-text").textContent = text;
  show("outcome");
  $("outcome-title").focus();
}

onSubmit("payment", async ({ card, keep }) => {
  $("declined").textContent = "";
  const wish = { paymentMethod: card ?? "", saveCard: !card && Boolean(keep) };
  // Also what is not wished any more, since the try before.
  if (wish.paymentMethod !== wished.paymentMethod || wish.saveCard !== wished.saveCard) await form.choose(wish);
  wished = wish;
  const { error } = await provider.confirm({
    ...(card ? { clientSecret: provider.clientSecret } : { elements: provider.elements }),
    confirmParams: { return_url: location.href },
    redirect: "if_required",
  });
  if (!error) {
    say(form.busy ?? "Paying …");
    return form.sent?.();
  }
  // What is wrong in its fields the provider says beside them.
  if (error.type === "card_error" || error.code?.endsWith("authentication_failure")) decline(error.message);
  else if (error.type !== "validation_error") throw new Refused(error.message ?? "Something went wrong. Please try again.");
});
$("give-up").addEventListener("click", (event) => act(event.target, () => form.giveUp()));
