// How often a membership is paid, in words.

import { now } from "/api.js";
import { dateOf } from "/times.js";

const WORDS = { WEEK: "week", MONTH: "month", YEAR: "year" };

export const everyOf = ({ interval, intervalCount }) => (intervalCount === 1 ? `every ${WORDS[interval]}` : `every ${intervalCount} ${WORDS[interval]}s`);

// The next payment of who pays now: the same day of a later month, or its last.
function nextOf({ interval, intervalCount }) {
  const next = now();
  const day = next.getUTCDate();
  if (interval === "WEEK") next.setUTCDate(day + 7 * intervalCount);
  else {
    next.setUTCMonth(next.getUTCMonth() + intervalCount * (interval === "YEAR" ? 12 : 1), 1);
    const last = new Date(Date.UTC(next.getUTCFullYear(), next.getUTCMonth() + 1, 0)).getUTCDate();
    next.setUTCDate(Math.min(day, last));
  }
  return next;
}

// What who joins agrees to.
export const renewal = (terms, price, timeZone) => [
  `It renews by itself: ${price} ${everyOf(terms)}, next on ${dateOf(nextOf(terms), timeZone)}, from the card you pay with now.`,
  "You can cancel it here at any time. It then ends with what you have paid for.",
];
