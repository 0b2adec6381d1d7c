// What a studio sells, for its clients; each leads to the page on which they pay.

import { all } from "/api.js";
import { empty, make } from "/dom.js";
import { money } from "/money.js";

// Kinds that clients buy here.
const KINDS = ["CLASS_PACK"];

export function termsOf(option) {
  const validity = option.validDays && `good for ${option.validDays} days${option.startsOnFirstUse ? " from the first class on" : ""}`;
  return [option.credits === 1 ? "1 class" : `${option.credits} classes`, validity, option.introOffer && "for new clients, once"].filter(Boolean).join(" · ");
}

export async function shopItems(studio) {
  const options = (await all(`${studio}/pricingOptions`, "pricingOptions")).filter(({ kind }) => KINDS.includes(kind));
  if (!options.length) return [empty("Nothing to buy here yet. Ask your studio.")];
  return [make("ul", {}, ...options.map((option) => make(
    "li", {},
    make("div", { className: "what" }, option.displayName, make("small", { textContent: `${money(option.priceMinor, option.currencyCode)} · ${termsOf(option)}` })),
    make("div", { className: "act" }, make("a", {
      className: "button",
      href: `/pay?${new URLSearchParams({ option: option.name })}`,
      textContent: "Buy",
      ariaLabel: `Buy ${option.displayName}`,
    })),
  )))];
}
