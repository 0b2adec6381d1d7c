// The saved cards of a client, kept by the payment provider.

import { all, send } from "/api.js";
import { cardName, expiryOf } from "/card-name.js";
import { changed } from "/changes.js";
import { confirmed } from "/dialogs.js";
import { $, empty, make, say } from "/dom.js";
import { isLive } from "/memberships.js";
import { payLink } from "/pay-link.js";
import { actionButton, lines, list, plainRow } from "/rows.js";

// Whose cards these are: they are not asked for again until one changes.
let known = { client: "", cards: [] };

// The provider is asked for them, so they come later than the rest of the page.
export async function showCards(client, memberships) {
  if (known.client !== client.name) {
    try {
      known = { client: client.name, cards: await all(`${client.name}/paymentMethods`, "paymentMethods") };
    } catch (error) {
      if (error.signedOut) throw error;
      $("cards").replaceChildren(empty("Not to be seen at this moment."));
      return;
    }
  }
  const live = memberships.filter(isLive);
  $("cards").replaceChildren(
    list(known.cards.map((card) => cardRow(card, client, live)), "No card saved. One that you save pays fees and memberships."),
    make("a", { className: "button quiet", href: payLink({ card: client.name }), textContent: "Add a card" }),
  );
}

function cardRow(card, client, memberships) {
  const name = cardName(card);
  const href = payLink({ card: client.name, replaces: card.name });
  const actions = [make("a", { className: "button quiet", href, textContent: "Replace", ariaLabel: `Replace: ${name}` })];
  if (card.isDefault) actions.unshift(make("span", { className: "tag", textContent: "Default" }));
  else actions.push(actionButton("Make default", name, async () => {
    await written(send(`${card.name}:setDefault`, {}));
    say(`Fees are charged to ${name} from now on.`);
  }));
  const paid = memberships.filter((membership) => membership.card?.paymentMethod === card.name && !membership.cancelAtPeriodEnd);
  // What would be refused is not offered.
  if (!paid.length) actions.push(actionButton("Remove", name, () => remove(card), "quiet bad"));
  const pays = paid.length && `Pays ${paid.map(({ quote }) => quote.displayName).join(", ")}. To remove it, choose another card for that first.`;
  return plainRow(card.name, name, lines(expiryOf(card), pays), actions);
}

async function remove(card) {
  const text = "It is taken away from the studio's payment provider.";
  if (!(await confirmed({ title: "Remove this card?", label: cardName(card), text, no: "Keep it", yes: "Remove it" }))) return;
  await written(send(`${card.name}:detach`, {}));
  say(`${cardName(card)} is removed.`);
}

function written(write) {
  known = { client: "", cards: [] };
  return changed(write);
}
