// What one client has bought and joined, for who works at the studio.

import { all, get, Refused } from "/api.js";
import { paidWith } from "/card-name.js";
import { $, make } from "/dom.js";
import { everyOf } from "/intervals.js";
import { endWithRefund } from "/membership-refunds.js";
import { isLive, standing, stateOf } from "/memberships.js";
import { money } from "/money.js";
import { purchaseList } from "/receipts.js";
import { actionButton, lines, list, plainRow } from "/rows.js";

// Looks, a second apart, until a membership is ended: that is made step by step.
const LOOKS = 10;

async function ended(name, looks = LOOKS) {
  if ((await get(name)).state === "ENDED" || !looks) return;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await ended(name, looks - 1);
}

// `refunds`: whether the person may give money back.
export async function showClientSales(client, displayName, timeZone, refunds) {
  await load(client, displayName, timeZone, refunds);
  $("client-sales").showModal();
}

async function load(client, displayName, timeZone, refunds) {
  const studio = client.split("/clients/")[0];
  const [memberships, purchases, receipts] = await Promise.all([
    all(`${studio}/memberships`, "memberships", { client }),
    all(`${studio}/purchases`, "purchases", { client }),
    all(`${studio}/receipts`, "receipts", { client }),
  ]);
  $("client-sales-title").textContent = displayName;
  $("client-sales-fault").textContent = "";
  // The page behind is out of reach: what is refused is said here.
  const end = (membership) => actionButton("End and refund", membership.quote.displayName, async () => {
    try {
      if (!(await endWithRefund(membership, displayName))) return;
      await ended(membership.name);
      await load(client, displayName, timeZone, refunds);
    } catch (error) {
      if (!(error instanceof Refused) || error.signedOut) throw error;
      $("client-sales-fault").textContent = error.message;
    }
  }, "quiet bad");
  const rows = memberships.map((membership) => plainRow(membership.name, membership.quote.displayName, lines(
    `${money(membership.quote.totalMinor, membership.quote.currencyCode)} ${everyOf(membership)}`,
    ...standing(membership, timeZone),
    paidWith(membership),
  ), [make("span", { className: "tag", textContent: stateOf(membership) }), ...(refunds && isLive(membership) ? [end(membership)] : [])]));
  $("client-sales-memberships").replaceChildren(list(rows, "No membership."));
  $("client-sales-purchases").replaceChildren(...purchaseList(purchases, receipts, timeZone, false));
}
