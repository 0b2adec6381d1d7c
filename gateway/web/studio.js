// A studio as one person sees it: clients book and cancel, people who work there see the week and its rosters.

import { all, get, now, once, Refused } from "/api.js";
import { bookingList, isHeld } from "/bookings.js";
import { showCards } from "/cards.js";
import { keepPlace, onChange, place } from "/changes.js";
import { creditCard } from "/credits.js";
import { $, act, empty, make, onSubmit, say, show } from "/dom.js";
import { isLive, membershipCards } from "/memberships.js";
import { showMerchant } from "/merchant.js";
import { openFees, owedRows } from "/owed.js";
import { showPush } from "/push.js";
import { history } from "/receipts.js";
import { showSales } from "/sales.js";
import { shopItems } from "/shop.js";
import { startOfToday } from "/times.js";
import { showWeek } from "/week.js";

const STUDIO = /studios?[=/]([0-9a-f-]{36})|^([0-9a-f-]{36})$/;
const WHOLE_STUDIO = ["ROLE_OWNER", "ROLE_MANAGER", "ROLE_FRONT_DESK"];
// Milliseconds that the page waits for what was sold, before it goes on without.
const PATIENCE = 2000;
// Of what is asked for without a bound.
const DAYS_AHEAD = 7;
const REFUNDS = ["ROLE_OWNER", "ROLE_MANAGER"];
export const ROLES = {
  ROLE_OWNER: "owner",
  ROLE_MANAGER: "manager",
  ROLE_FRONT_DESK: "front desk",
  ROLE_INSTRUCTOR: "instructor",
  ROLE_CLIENT: "client",
};

let me;
let studios = [];
// Counts how often the page was filled: what comes late of an earlier time is old news.
let turn = 0;

onChange(showStudio);

const chosen = () => $("studios").value;

// Studios this browser was led to by a link, the latest first.
function remembered() {
  return JSON.parse(localStorage.getItem("studios") ?? "[]");
}

export function remember(studio) {
  localStorage.setItem("studios", JSON.stringify([...new Set([studio, ...remembered()])]));
}

// `person` is what GET accounts/me answers.
export async function showStudios(person) {
  me = person;
  const linked = STUDIO.exec(location.search);
  if (linked) remember(`studios/${linked[1]}`);
  const own = await all("studios", "studios");
  const known = remembered();
  const others = known.filter((name) => !own.some((studio) => studio.name === name));
  studios = [...own, ...(await Promise.all(others.map((name) => get(name).catch(() => null)))).filter(Boolean)];
  if (!studios.length) return show("find-studio");
  $("studios").replaceChildren(...studios.map(({ name, displayName }) => make("option", { value: name, textContent: displayName })));
  $("studios").value = known.find((name) => studios.some((studio) => studio.name === name)) ?? studios[0].name;
  $("choose").hidden = studios.length < 2;
  $("studio-name").hidden = studios.length > 1;
  await showStudio();
  show("studio");
}

export const nameOf = (studio) => studios.find(({ name }) => name === studio)?.displayName;

// Who works there sees what is over of today too, and as far ahead as clients do.
const sinceMorning = ({ timeZone }) => ({
  startTime: startOfToday(timeZone).toISOString(),
  endTime: new Date(now().getTime() + DAYS_AHEAD * 24 * 60 * 60 * 1000).toISOString(),
});

async function showStudio() {
  const mine = ++turn;
  const studio = studios.find(({ name }) => name === chosen());
  const roles = me.roleBindings.filter((binding) => binding.name.startsWith(`${studio.name}/`)).map((binding) => binding.role);
  const works = roles.length > 0;
  // Whoever may see every client of the studio is not asked about their own.
  const sells = roles.some((role) => WHOLE_STUDIO.includes(role));
  const visits = !sells;
  const refunds = roles.some((role) => REFUNDS.includes(role));
  const own = (path, field) => (visits ? all(`${studio.name}/${path}`, field) : []);
  const sold = visits ? soldBy(studio) : Promise.resolve({});
  const [sessions, bookings, clients, packages] = await Promise.all([
    all(`${studio.name}/bookableSessions`, "bookableSessions", works ? sinceMorning(studio) : {}),
    // Latest class first: what is to come is on the first page.
    visits ? get(`${studio.name}/bookings?activeOnly=true&pageSize=200`).then((page) => page.bookings) : [],
    own("clients", "clients"),
    own("clientPackages", "clientPackages"),
  ]);
  if (mine !== turn) return;
  const row = place();
  const isClient = clients.length > 0;
  $("studio-name").textContent = studio.displayName;
  $("role").replaceChildren(...(works ? workplace(studio, roles) : []));
  $("join").hidden = works || isClient;
  for (const id of ["mine", "account"]) $(id).hidden = !isClient;
  $("sales").hidden = !sells;
  const held = new Set(bookings.filter(isHeld).map(({ name }) => name));
  const options = sold.then((parts) => parts.options ?? []);
  showWeek(sessions, { studio: studio.name, options, held, works, sells, refunds, books: isClient });
  $("bookings").replaceChildren(bookingList(bookings, clients));
  $("credits").replaceChildren(...clients.map((client) => creditCard(client, clients, packages)));
  // Classes are there, and booked, even while nobody can say what was sold.
  const later = async () => {
    const parts = await sold;
    if (mine === turn && isClient) await showSold(studio, parts, clients, packages);
    await showMerchant(studio, roles);
    if (sells) await showSales(studio, refunds);
  };
  await Promise.race([later(), new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
  // Not worth a page that cannot be used: without an answer there is no button.
  await showPush(clients.map(({ name }) => name)).catch(() => {});
  keepPlace(row);
}

// What a client has bought, can buy and owes; `away` when that cannot be said.
async function soldBy(studio) {
  try {
    const [memberships, options, fees, bought] = await Promise.all([
      all(`${studio.name}/memberships`, "memberships"),
      all(`${studio.name}/pricingOptions`, "pricingOptions"),
      openFees(studio.name),
      history(studio.name, studio.timeZone),
    ]);
    return { memberships, options, fees, bought };
  } catch (error) {
    if (error.signedOut || !(error instanceof Refused)) throw error;
    return { away: true };
  }
}

async function showSold(studio, { away, memberships, options, fees, bought }, clients, packages) {
  $("away").hidden = !away;
  $("owed").hidden = !fees?.length;
  if (away) {
    for (const id of ["memberships", "shop", "purchases"]) $(id).replaceChildren(empty("Not to be seen at this moment."));
    return;
  }
  $("fees").replaceChildren(owedRows(fees, studio.timeZone));
  $("memberships").replaceChildren(...membershipCards(memberships, { clients, packages, options, timeZone: studio.timeZone }));
  // Who acts for others, too, may join for one of them.
  const joined = clients.length > 1 ? [] : memberships.filter(isLive).map(({ pricingOption }) => pricingOption);
  $("shop").replaceChildren(...shopItems(options, joined));
  $("purchases").replaceChildren(...bought);
  // Who has a guardian pays with the guardian's cards.
  await showCards(clients.find(({ guardian }) => !guardian) ?? clients[0], memberships);
}

function workplace(studio, roles) {
  const link = `${location.origin}/?studio=${studio.name.split("/")[1]}`;
  return [
    make("span", { textContent: `You work here: ${roles.map((role) => ROLES[role]).join(", ")}. ` }),
    make("span", {}, "Link for your clients: ", make("a", { href: link, textContent: link })),
  ];
}

onSubmit("find-studio", async ({ studio }) => {
  const found = STUDIO.exec(studio.trim());
  if (!found) throw new Refused("", { fields: { studio: "This is not the link of a studio." } });
  const name = `studios/${found[1] ?? found[2]}`;
  await get(name);
  remember(name);
  await showStudios(me);
});
onSubmit("join", async () => {
  const { displayName, email } = me.account;
  await once(`${chosen()}/clients:join`, { displayName, email });
  await showStudio();
  say("Welcome. You can book now.");
});
$("studios").addEventListener("change", (event) => act(event.target, async () => {
  remember(chosen());
  await showStudio();
}));
