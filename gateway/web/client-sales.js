// What one client has bought and joined, for who works at the studio.

import { all } from "/api.js";
import { $, make } from "/dom.js";
import { everyOf } from "/intervals.js";
import { standing, stateOf } from "/memberships.js";
import { money } from "/money.js";
import { purchaseList } from "/receipts.js";
import { lines, list, plainRow } from "/rows.js";

export async function showClientSales(client, displayName, timeZone) {
  const studio = client.split("/clients/")[0];
  const [memberships, purchases, receipts] = await Promise.all([
    all(`${studio}/memberships`, "memberships", { client }),
    all(`${studio}/purchases`, "purchases", { client }),
    all(`${studio}/receipts`, "receipts", { client }),
  ]);
  $("client-sales-title").textContent = displayName;
  const rows = memberships.map((membership) => plainRow(membership.name, membership.quote.displayName, lines(
    `${money(membership.quote.totalMinor, membership.quote.currencyCode)} ${everyOf(membership)}`,
    ...standing(membership, timeZone),
  ), [make("span", { className: "tag", textContent: stateOf(membership) })]));
  $("client-sales-memberships").replaceChildren(list(rows, "No membership."));
  $("client-sales-purchases").replaceChildren(...purchaseList(purchases, receipts, timeZone, false));
  $("client-sales").showModal();
}
