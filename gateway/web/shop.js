// What a studio sells, for its clients; each leads to the page on which they pay.

import { empty, make } from "/dom.js";
import { everyOf } from "/intervals.js";
import { money } from "/money.js";
import { payLink } from "/pay-link.js";

// What clients buy here, in this order. A place in one class is bought when it is booked, and fees nobody buys.
const KINDS = ["MEMBERSHIP", "CLASS_PACK", "GIFT_CARD"];

export const isMembership = ({ kind }) => kind === "MEMBERSHIP";

const classes = (credits) => (credits === 1 ? "1 class" : `${credits} classes`);

export function termsOf(option) {
  if (option.kind === "GIFT_CARD") return ["pays for anything here", option.validDays && `good for ${option.validDays} days`].filter(Boolean).join(" · ");
  const intro = option.introOffer && "for new clients, once";
  if (isMembership(option)) {
    const gives = option.unlimited ? "as many classes as you like" : `${classes(option.credits)} ${everyOf(option)}`;
    return [gives, intro].filter(Boolean).join(" · ");
  }
  const validity = option.validDays && `good for ${option.validDays} days${option.startsOnFirstUse ? " from the first class on" : ""}`;
  return [classes(option.credits), validity, intro].filter(Boolean).join(" · ");
}

export function priceOf(option) {
  const price = money(option.totalMinor, option.currencyCode);
  return isMembership(option) ? `${price} ${everyOf(option)}` : price;
}

// `options` as the catalogue lists them; of those in `joined` the person is a member already.
export function shopItems(options, joined = []) {
  const sold = KINDS.flatMap((kind) => options.filter((option) => option.kind === kind));
  if (!sold.length) return [empty("Nothing to buy here yet. Ask your studio.")];
  return [make("ul", {}, ...sold.map((option) => shopItem(option, joined.includes(option.name))))];
}

function shopItem(option, isJoined) {
  const verb = isMembership(option) ? "Join" : "Buy";
  const link = make("a", { className: "button", href: payLink({ option: option.name }), textContent: verb, ariaLabel: `${verb} ${option.displayName}` });
  return make(
    "li", {},
    make("div", { className: "what" }, option.displayName, make("small", { textContent: `${priceOf(option)} · ${termsOf(option)}` })),
    make("div", { className: "act" }, isJoined ? make("span", { className: "tag", textContent: "Yours" }) : link),
  );
}
