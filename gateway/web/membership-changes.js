// Pausing a membership, another plan for it, another card: each asks in a dialog first.

import { all, now, Refused, send } from "/api.js";
import { cardName } from "/card-name.js";
import { changed } from "/changes.js";
import { asking } from "/dialogs.js";
import { $, make, say } from "/dom.js";
import { everyOf } from "/intervals.js";
import { money } from "/money.js";
import { isMembership, priceOf, termsOf } from "/shop.js";
import { dateOf, startOfDay } from "/times.js";

const DAY = 86_400_000;

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
const choice = (value, textContent) => make("option", { value, textContent });

export async function pause({ name, quote, etag }, timeZone) {
  $("pause-label").textContent = quote.displayName;
  const day = $("pause").querySelector("[name=resumeTime]");
  day.value = "";
  day.min = new Date(now().getTime() + DAY).toISOString().slice(0, 10);
  let until = "";
  const paused = await asking("pause", async ({ resumeTime }) => {
    until = resumeTime && startOfDay(resumeTime, timeZone);
    await changed(send(`${name}:pause`, { etag, ...(until && { resumeTime: until.toISOString() }) }));
  });
  if (paused) say(until ? `${quote.displayName} is paused until ${dateOf(until, timeZone)}.` : `${quote.displayName} is paused until you resume it.`);
}

// Other plans for as long an interval; the one it has, too, while another is to follow.
export function plansFor({ pricingOption, nextPricingOption, interval, intervalCount }, options) {
  const coming = nextPricingOption || pricingOption;
  return options.filter((option) => isMembership(option) && option.name !== coming && option.interval === interval && option.intervalCount === intervalCount);
}

export async function changePlan(membership, { options, packages, timeZone }) {
  const { name, quote } = membership;
  const plans = plansFor(membership, options);
  const select = $("plan-change-plans");
  $("plan-change-label").textContent = quote.displayName;
  select.replaceChildren(...plans.map((option) => choice(option.name, `${option.displayName}, ${priceOf(option)}`)));
  const fault = $("plan-change-fault");
  const go = $("plan-change-go");
  let preview;
  // Only what was previewed can be agreed to.
  const look = async () => {
    const wanted = select.value;
    preview = null;
    $("plan-change-text").textContent = "";
    fault.textContent = "";
    go.hidden = true;
    const seen = await send(`${name}:previewPlan`, { pricingOption: wanted }).catch((error) => {
      if (!(error instanceof Refused)) throw error;
      if (wanted === select.value) fault.textContent = error.message;
    });
    if (!seen || wanted !== select.value) return;
    preview = seen;
    const plan = plans.find((option) => option.name === wanted);
    $("plan-change-text").textContent = `${sentence(termsOf(plan))} ${inWords(seen, plan, membership, timeZone)}`;
    go.textContent = Number(seen.dueMinor) ? `Change and pay ${money(seen.dueMinor, seen.quote.currencyCode)}` : "Change the plan";
    go.hidden = false;
  };
  select.onchange = look;
  look();
  const done = await asking("plan-change", async () => {
    const { pricingOption, dueMinor, quoteTime } = preview;
    try {
      await changed(send(`${name}:changePlan`, { pricingOption, dueMinor, quoteTime, etag: membership.etag }));
    } catch (error) {
      if (error.reason === "PREVIEW_OUTDATED") await look();
      throw error;
    }
  });
  if (!done) return;
  say(`Your plan: ${plans.find(({ name: option }) => option === preview.pricingOption).displayName}.`);
  if (preview.credits) await arrival(membership.client, packages);
}

// What a plan gives at once comes a moment after it was paid.
async function arrival(client, known, looks = 10) {
  await new Promise((resolve) => setTimeout(resolve, 500));
  const packages = await all(`${client.split("/clients/")[0]}/clientPackages`, "clientPackages");
  if (packages.length > known.length) return changed();
  if (looks) await arrival(client, known, looks - 1);
}

function inWords({ quote, effectiveTime, dueMinor, credits }, plan, membership, timeZone) {
  const amount = (minor) => money(minor, quote.currencyCode);
  const then = `${amount(quote.totalMinor)} ${everyOf(membership)}`;
  if (!Number(dueMinor)) return `It begins on ${dateOf(effectiveTime, timeZone)}, for ${then}. Until then nothing changes, and nothing is due now.`;
  const gives = plan.unlimited ? "book as often as you like" : `get ${credits} ${credits === 1 ? "credit" : "credits"}`;
  const until = dateOf(membership.periodEndTime, timeZone);
  return `It begins now. You pay ${amount(dueMinor)} with the card of your membership, and ${gives} until ${until}. From then on it is ${then}.`;
}

export async function useCard(membership) {
  const cards = await all(`${membership.client}/paymentMethods`, "paymentMethods");
  if (!cards.length) throw new Refused("You have no saved card. Save one under “My cards” first.");
  $("card-choice-label").textContent = membership.quote.displayName;
  const paying = membership.card?.paymentMethod;
  $("card-choice-cards").replaceChildren(...cards.map((card) => choice(card.name, `${cardName(card)}${card.name === paying ? ", pays it now" : ""}`)));
  // Who asks wants another.
  $("card-choice-cards").value = (cards.find(({ name }) => name !== paying) ?? cards[0]).name;
  const done = await asking("card-choice", ({ paymentMethod }) => changed(send(`${membership.name}:setCard`, { paymentMethod })));
  if (done) say(`${membership.quote.displayName} is paid with that card from now on.`);
}
