// A membership whose payment is due: the first one, or one that was declined. It is active when our server says so, which
// has no stream for it: the page asks, ever less often, while somebody looks at it, and not for ever.

import { all, get, send } from "/api.js";
import { asked, moveTo } from "/address.js";
import { $, say } from "/dom.js";
import { showReceipts } from "/buying.js";
import { renewal } from "/intervals.js";
import { money } from "/money.js";
import { decline, end, mount, mounted, present, showForm } from "/payment-form.js";
import { dateOf, momentOf } from "/times.js";

// Milliseconds before each look; quickly after a payment, then slowly.
const SOON = Array(10).fill(1000);
const LATER = [...Array(20).fill(3000), ...Array(45).fill(10_000)];
// Looks, a second apart, for what was paid for.
const GRANTED = 8;
const UNTOLD = "We have not heard of your payment yet. Nothing is lost: load this page again in a while.";

let name;
let timeZone;
let waits = [];
let timer;
let shown = "";
let paying = false;

export async function followMembership(membership, zone) {
  moveTo({ membership: membership.name });
  [name, timeZone] = [membership.name, zone];
  await tell(membership);
  look(paying ? [...SOON, ...LATER] : LATER);
}

function look(pauses) {
  clearTimeout(timer);
  waits = [...pauses];
  next();
}

function next() {
  const pause = waits.shift();
  if (pause === undefined) return paying && say(UNTOLD, true);
  timer = setTimeout(async () => {
    // Who has turned to something else is told on coming back.
    if (!document.hidden) await once();
    if (name) next();
  }, pause);
}

const once = async () => get(name).then(tell).catch(() => {});

function texts({ state, quote, dunning, intervalCount, interval, firstTotalMinor }) {
  const amount = (minor) => money(minor, quote.currencyCode);
  const sent = () => {
    paying = true;
    asked.returned = "";
    look([...SOON, ...LATER]);
  };
  if (state === "PAST_DUE") {
    const due = amount(dunning.dueMinor);
    const notes = dunning.attempts.slice(-1).map(({ createTime, message }) => `Tried ${momentOf(createTime, timeZone)}: ${message}`);
    if (dunning.nextAttemptTime) notes.push(`It is tried again ${momentOf(dunning.nextAttemptTime, timeZone)}, unless you pay now.`);
    return { title: `Pay ${due} that is due for ${quote.displayName}`, label: `Pay ${due}`, notes, sent };
  }
  const due = amount(firstTotalMinor ?? quote.totalMinor);
  // What costs nothing at first begins with a card for what follows.
  const free = firstTotalMinor === "0";
  return {
    title: free ? `Save a card for ${quote.displayName}` : `Pay ${due} for ${quote.displayName}`,
    label: free ? "Save the card and join" : `Pay ${due}`,
    busy: free ? "Saving the card …" : undefined,
    notes: renewal({ interval, intervalCount }, amount(quote.totalMinor), timeZone),
    sent,
    giveUpLabel: "Do not join",
    giveUp: async () => tell(await send(`${name}:cancel`, { now: true })),
  };
}

async function tell(membership) {
  const state = `${membership.state} ${membership.dunning?.attempts.length ?? 0}`;
  if (state === shown) return;
  const before = shown;
  shown = state;
  const isDue = ["PENDING", "PAST_DUE"].includes(membership.state);
  if (isDue) {
    present(texts(membership));
    if (!mounted() && !(await open())) return tell(await get(name));
    if (asked.returned === "failed" || (before && !paying)) decline();
    else if (asked.returned) {
      paying = true;
      say("Your bank has not told us yet. This page will show it.");
    }
    return showForm();
  }
  clearTimeout(timer);
  name = paying = false;
  if (membership.state === "ENDED") {
    $("done").textContent = "Back to the studio";
    return end("This membership has ended.", membership.endReason === "NEVER_PAID" ? "Nothing was paid." : "Nothing is charged any more.");
  }
  const paid = await granted(membership);
  say("");
  end("You are a member. Thank you.", gained(membership));
  if (paid) await showReceipts(paid);
}

// The purchase of the interval, once the client has what it gives: a moment after the payment.
async function granted({ client, pricingOption }, looks = GRANTED) {
  const purchases = await all(`${client.split("/clients/")[0]}/purchases`, "purchases", { client, kind: "MEMBERSHIP" });
  const latest = purchases.find((purchase) => purchase.pricingOption === pricingOption);
  if ((latest && latest.state !== "PAID") || !looks) return latest;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return granted({ client, pricingOption }, looks - 1);
}

function gained({ quote, unlimited, periodEndTime, cancelAtPeriodEnd }) {
  const gives = unlimited ? "book as often as you like" : `${quote.credits} ${quote.credits === 1 ? "credit" : "credits"} are yours`;
  const goesOn = cancelAtPeriodEnd ? "ends" : "renews";
  return `${quote.displayName}: ${gives}. It ${goesOn} on ${dateOf(periodEndTime, timeZone)}.`;
}

// False when there is nothing to pay any more: asking for the payment finds out first.
async function open() {
  const session = await send(`${name}:pay`, {}).catch((error) => {
    if (!["NOTHING_TO_PAY", "MEMBERSHIP_ENDED"].includes(error.reason)) throw error;
  });
  if (session) mount(session);
  return Boolean(session);
}

document.addEventListener("visibilitychange", () => !document.hidden && name && once());
