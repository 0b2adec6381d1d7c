// The memberships of a client: how each stands, what it gives, when it is charged, and what can be done with it.

import { send } from "/api.js";
import { expiryWarning, paidWith } from "/card-name.js";
import { changed } from "/changes.js";
import { isUnlimited, lastDayOf, usable } from "/credits.js";
import { confirmed } from "/dialogs.js";
import { empty, make, say } from "/dom.js";
import { everyOf } from "/intervals.js";
import { changePlan, pause, plansFor, useCard } from "/membership-changes.js";
import { money } from "/money.js";
import { payLink } from "/pay-link.js";
import { actionButton, lines } from "/rows.js";
import { isMembership } from "/shop.js";
import { dateOf, momentOf } from "/times.js";

const STATES = { PENDING: "Not paid yet", ACTIVE: "Active", PAST_DUE: "Payment is due", PAUSED: "Paused", ENDED: "Ended" };
const ENDS = { CANCELLED: "cancelled", PAYMENT_FAILED: "its payment failed" };

export const isLive = ({ state }) => ["ACTIVE", "PAST_DUE", "PAUSED"].includes(state);

// `packages` are the clients', `options` what the studio sells.
export function membershipCards(memberships, { clients, packages, options, timeZone }) {
  const shown = memberships.filter(({ state }) => state !== "ENDED");
  const ended = memberships.filter(({ state, endReason }) => state === "ENDED" && endReason !== "NEVER_PAID");
  if (!shown.length && !ended.length) return [empty(options.some(isMembership) ? "No membership. Join one below." : "No membership.")];
  const about = { clients, options, packages, timeZone };
  return [
    ...shown.map((membership) => card(membership, { ...about, packs: packsOf(membership, shown, packages) })),
    ...(ended.length ? [endedOnes(ended, timeZone)] : []),
  ];
}

// Of two memberships of one client each has the packages that are named after it.
function packsOf({ client, quote }, memberships, packages) {
  const alone = memberships.filter((other) => other.client === client && isLive(other)).length === 1;
  return usable(packages, client).filter(
    (pack) => ["MEMBERSHIP", "UNLIMITED"].includes(pack.kind) && (alone || pack.displayName === quote.displayName),
  );
}

function endedOnes(ended, timeZone) {
  const why = (reason) => (ENDS[reason] ? ` (${ENDS[reason]})` : "");
  const said = ({ quote, endTime, endReason }) => `${quote.displayName}: ended ${dateOf(endTime, timeZone)}${why(endReason)}`;
  return make(
    "details", {},
    make("summary", { textContent: ended.length === 1 ? "1 membership that has ended" : `${ended.length} memberships that have ended` }),
    ...lines(...ended.map(said)),
  );
}

export const stateOf = (membership) => (membership.state === "ACTIVE" && membership.cancelAtPeriodEnd ? "Ends soon" : STATES[membership.state]);

function card(membership, about) {
  const { clients } = about;
  const whose = clients.length > 1 ? `${clients.find(({ name }) => name === membership.client)?.displayName}: ` : "";
  const price = `${money(membership.quote.totalMinor, membership.quote.currencyCode)} ${everyOf(membership)}`;
  return make(
    "div", { className: "card", id: membership.name, tabIndex: -1 },
    make(
      "p", { className: "headed" },
      make("strong", { textContent: whose + membership.quote.displayName }),
      make("span", { className: "tag", textContent: stateOf(membership) }),
    ),
    ...lines(price, ...left(about.packs), paidWith(membership)),
    ...standing(membership, about.timeZone, about.options).map((text) => make("p", { textContent: text })),
    ...arrears(membership, about.timeZone),
    ...[expiryWarning(membership, about.timeZone)].filter(Boolean).map((textContent) => make("p", { className: "fault", textContent })),
    make("p", { className: "row start" }, ...actions(membership, about)),
  );
}

const left = (packs) => packs.map((pack) => {
  const until = pack.lastDay ? ` until ${lastDayOf(pack)}` : "";
  return isUnlimited(pack) ? `As often as you like${until}` : `${pack.creditsLeft} of ${pack.creditsGranted} credits left${until}`;
});

// When it is charged next, or ends, or goes on.
export function standing(membership, timeZone, options = []) {
  const { state, quote, periodEndTime, cancelAtPeriodEnd, nextPricingOption, resumeTime } = membership;
  const until = periodEndTime && dateOf(periodEndTime, timeZone);
  if (state === "PENDING") return ["It begins once its first payment has come."];
  if (state === "PAUSED") return [`${resumeTime ? `It goes on by itself on ${dateOf(resumeTime, timeZone)}.` : "It goes on when you resume it."} Nothing is charged meanwhile.`];
  if (state !== "ACTIVE") return [];
  if (cancelAtPeriodEnd) return [`It ends on ${until}. Nothing is charged any more.`];
  const next = options.find(({ name }) => name === nextPricingOption);
  if (nextPricingOption) return [`From ${until} on it is ${next ? `${next.displayName}, for ${money(next.totalMinor, next.currencyCode)}` : "another plan"}.`];
  return [`Next charge: ${money(quote.totalMinor, quote.currencyCode)} on ${until}.`];
}

// What was tried to collect what is due, and when it is tried again.
function arrears({ state, dunning, quote }, timeZone) {
  if (state !== "PAST_DUE") return [];
  const tried = (dunning?.attempts ?? []).map(({ createTime, message }) => `${momentOf(createTime, timeZone)}: ${message}`);
  const next = dunning?.nextAttemptTime ? `It is tried again ${momentOf(dunning.nextAttemptTime, timeZone)}.` : "";
  return [
    make("p", { className: "fault", textContent: `${money(dunning?.dueMinor ?? quote.totalMinor, quote.currencyCode)} could not be charged. ${next}` }),
    ...lines(...tried, "Until it is paid there are no new credits. Your bookings stay."),
  ];
}

function actions(membership, about) {
  const { state, quote, cancelAtPeriodEnd } = membership;
  const button = (text, work, className) => actionButton(text, quote.displayName, work, className);
  const pay = (text) => make("a", { className: "button", href: payLink({ membership: membership.name }), textContent: text, ariaLabel: `${text}: ${quote.displayName}` });
  const cancel = button("Cancel", () => cancelIt(membership, about), "quiet bad");
  const card = button("Change the card", () => useCard(membership));
  if (state === "PENDING") return [pay("Pay it"), cancel];
  if (state === "PAST_DUE") return [pay("Pay now"), button("Another saved card", () => useCard(membership)), cancel];
  if (state === "PAUSED") return [button("Resume", () => resume(membership), ""), card, cancel];
  if (cancelAtPeriodEnd) return [button("Keep it", () => keep(membership), ""), card];
  const plan = plansFor(membership, about.options).length ? [button("Change the plan", () => changePlan(membership, about))] : [];
  return [...plan, button("Pause", () => pause(membership, about.timeZone)), card, cancel];
}

async function cancelIt(membership, { timeZone, packs }) {
  const { name, quote, state, etag, periodEndTime } = membership;
  const last = packs.map(lastDayOf).at(0);
  const stays = last ? ` What you have paid for stays usable until ${last}.` : "";
  const text = state === "ACTIVE"
    ? `It ends on ${dateOf(periodEndTime, timeZone)}. Nothing is charged any more.${stays} Until it ends you can take this back.`
    : `It ends now. Nothing is charged any more.${stays}`;
  const asked = { title: "Cancel this membership?", label: quote.displayName, text, no: "Keep it", yes: "Cancel it" };
  if (!(await confirmed(asked))) return;
  const after = await changed(send(`${name}:cancel`, { etag }));
  say(after.state === "ACTIVE" ? `Cancelled: ${quote.displayName} ends on ${dateOf(periodEndTime, timeZone)}.` : `Cancelled: ${quote.displayName} has ended.`);
}

async function keep({ name, quote, etag }) {
  await changed(send(`${name}:keep`, { etag }));
  say(`${quote.displayName} goes on.`);
}

async function resume({ name, quote, etag }) {
  await changed(send(`${name}:resume`, { etag }));
  say(`${quote.displayName} goes on.`);
}
