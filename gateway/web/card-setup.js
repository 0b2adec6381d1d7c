// Saving a card, also in place of another.

import { all, send } from "/api.js";
import { asked } from "/address.js";
import { cardName } from "/card-name.js";
import { $, say } from "/dom.js";
import { decline, end, mount, present, showForm } from "/payment-form.js";

// Looks, a second apart, until the provider has told our server; the card is saved all the same.
const LOOKS = 20;

export async function saveCard(client, replaces) {
  $("done").textContent = "Back to the studio";
  const sent = () => saved(client, replaces);
  present({
    title: replaces ? "The card that takes the place of the other" : "Save a card",
    label: "Save the card",
    notes: ["Fees are charged to your default card. No money is taken now."],
    declined: "This card was declined. Please try different card.",
    busy: "Saving …",
    sent,
  });
  if (asked.returned === "succeeded") return sent();
  mount(await send(`${client}/paymentMethods:setup`, replaces ? { replaces } : {}));
  if (asked.returned) decline();
  showForm();
}

async function saved(client, replaces, looks = LOOKS) {
  const cards = await all(`${client}/paymentMethods`, "paymentMethods");
  const settled = cards.some((card) => card.isDefault) && !cards.some((card) => card.name === replaces);
  if (!settled && looks) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return saved(client, replaces, looks - 1);
  }
  say("");
  end("Your card is saved.", cards.length ? `${cardName(cards[0])}${cards[0].isDefault ? ". Fees are charged to it." : "."}` : "");
}
