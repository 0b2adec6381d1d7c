// The saved cards of a client, kept by the payment provider.

import { all, send } from "/api.js";
import { cardName, expiryOf } from "/card-name.js";
import { changed } from "/changes.js";
import { confirmed } from "/dialogs.js";
import { $, empty, make, say } from "/dom.js";
import { isLive } from "/memberships.js";
import { payLink } from "/pay-link.js";
import { actionButton, lines, list, plainRow } from "/rows.js";

// Whose cards the page shows: they are not asked for again until one changes.
let shown = "";
let live = [];

// The provider is asked for them, so they come later than the rest of the page.
export async function showCards(client, memberships) {
  live = memberships.filter(isLive);
  if (shown === client.name) return;
  let cards;
  try {
    cards = await all(`${client.name}/paymentMethods`, "paymentMethods");
  } catch (error) {
    if (error.signedOut) throw error;
    $("cards").replaceChildren(empty("Not to be seen at this moment."));
    return;
  }
  shown = client.name;
  $("cards").replaceChildren(
    list(cards.map((card) => cardRow(card, cards, client)), "No card saved. One that you save pays fees and memberships."),
    make("a", { className: "button quiet", href: payLink({ card: client.name }), textContent: "Add a card" }),
  );
}

function cardRow(card, cards, client) {
  const name = cardName(card);
  const href = payLink({ card: client.name, replaces: card.name });
  const actions = [make("a", { className: "button quiet", href, textContent: "Replace", ariaLabel: `Replace: ${name}` })];
  if (card.isDefault) actions.unshift(make("span", { className: "tag", textContent: "Default" }));
  else actions.push(actionButton("Make default", name, async () => {
    await written(send(`${card.name}:setDefault`, {}));
    say(`Fees are charged to ${name} from now on.`);
  }));
  actions.push(actionButton("Remove", name, () => remove(card, cards), "quiet bad"));
  return plainRow(card.name, name, lines(expiryOf(card)), actions);
}

async function remove(card, cards) {
  const plans = live.map(({ quote }) => quote.displayName).join(", ");
  // Which card pays a membership the provider alone knows; it may be this one.
  const warning = plans && (cards.length > 1
    ? `${plans} may be paid with this card. Choose another card for it first, or its next payment fails.`
    : `${plans} is paid with this card. Replace the card instead, or its next payment fails.`);
  const text = warning || "It is taken away from the studio's payment provider.";
  if (!(await confirmed({ title: "Remove this card?", label: cardName(card), text, no: "Keep it", yes: "Remove it" }))) return;
  await written(send(`${card.name}:detach`, {}));
  say(`${cardName(card)} is removed.`);
}

function written(write) {
  shown = "";
  return changed(write);
}
