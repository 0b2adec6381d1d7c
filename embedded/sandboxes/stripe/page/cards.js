// The cards that may be chosen, in their groups.
import { element, made } from "./stripe.js";

function option(method, checked) {
  const input = made("input", { type: "radio", name: "method", value: method.id, checked, required: true });
  const label = made("label", { className: "option" }, input, made("span", { textContent: method.label }));
  if (method.last4) label.append(made("span", { className: "last4", textContent: `•••• ${method.last4}` }));
  return label;
}

export function offer({ saved, cards }) {
  const first = saved[0] ?? cards.find((card) => !card.wallet);
  const groups = {
    saved,
    wallets: cards.filter((card) => card.wallet),
    works: cards.filter((card) => !card.asks && !card.fails && !card.wallet),
    asks: cards.filter((card) => card.asks),
    fails: cards.filter((card) => card.fails && !card.asks),
  };
  for (const [id, methods] of Object.entries(groups)) {
    element(id).hidden = methods.length === 0;
    element(id).querySelector(".options").replaceChildren(...methods.map((one) => option(one, one === first)));
  }
}
