// What a studio has sold, for who works there: newest first, a page at a time, with receipts and refunds.

import { get } from "/api.js";
import { $, act, empty, make } from "/dom.js";
import { money } from "/money.js";
import { KINDS, STATES, statusOf } from "/receipts.js";
import { showSale } from "/refunds.js";
import { actionButton, lines, plainRow } from "/rows.js";
import { dateOf } from "/times.js";

const PAGE = 20;
const PAID = ["PAID", "FULFILLED"];

let place;
let pageToken = "";
// Each client's name is asked for once.
const names = new Map();

// `studio` with its zone; `refunds`: whether the person may give money back.
export async function showSales(studio, refunds) {
  if (place?.studio.name !== studio.name) {
    names.clear();
    $("sales-kind").replaceChildren(...choices("Everything", KINDS));
    $("sales-state").replaceChildren(...choices("In any state", { OPEN: STATES.OPEN, PAID: STATES.PAID, RETURNED: STATES.RETURNED, CANCELLED: STATES.CANCELLED }));
  }
  place = { studio, refunds };
  await load();
}

const choices = (all, words) => [["", all], ...Object.entries(words)].map(([value, textContent]) => make("option", { value, textContent }));

async function load(more = "") {
  const { studio } = place;
  const [kind, state] = [$("sales-kind").value, $("sales-state").value];
  const query = new URLSearchParams({ pageSize: PAGE, pageToken: more, ...(kind && { kind }) });
  for (const each of state === "PAID" ? PAID : [state].filter(Boolean)) query.append("states", each);
  const page = await get(`${studio.name}/purchases?${query}`);
  await learn(page.purchases);
  if (studio !== place.studio) return;
  pageToken = page.nextPageToken;
  const rows = page.purchases.map(saleRow);
  if (more) $("sales-list").append(...rows);
  else $("sales-list").replaceChildren(...(rows.length ? rows : [make("li", {}, empty("Nothing of this kind was sold."))]));
  $("sales-more").hidden = !pageToken;
  if (more) rows[0]?.focus();
}

async function learn(purchases) {
  const unknown = new Set(purchases.map(({ client }) => client).filter((client) => !names.has(client)));
  await Promise.all([...unknown].map(async (client) => {
    const found = await get(client).catch(() => null);
    names.set(client, found?.displayName || "A client who is gone");
  }));
}

function saleRow(purchase) {
  const { studio, refunds } = place;
  const amount = money(purchase.quote.totalMinor, purchase.quote.currencyCode);
  const about = `${purchase.quote.displayName} of ${names.get(purchase.client)}`;
  const details = lines(`${names.get(purchase.client)} · ${dateOf(purchase.createTime, studio.timeZone)}`, `${amount} · ${statusOf(purchase)}`);
  return plainRow(purchase.name, purchase.quote.displayName, details, [
    actionButton("Details", about, () => showSale(purchase, names.get(purchase.client), studio.timeZone, refunds)),
  ]);
}

for (const id of ["sales-kind", "sales-state"]) $(id).addEventListener("change", (event) => act(event.target, () => load()));
$("sales-more").addEventListener("click", (event) => act(event.target, () => load(pageToken)));
