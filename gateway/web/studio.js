// A studio as one person sees it: clients book and cancel, people who work there see the week and its rosters.

import { all, get, now, once, Refused } from "/api.js";
import { $, act, confirmed, empty, make, onSubmit, say, show } from "/dom.js";
import { history } from "/receipts.js";
import { shopItems } from "/shop.js";
import { dateOf, dayOf, isHere, momentOf, startOfToday, timeOf } from "/times.js";

const STUDIO = /studios?[=/]([0-9a-f-]{36})|^([0-9a-f-]{36})$/;
const WHOLE_STUDIO = ["ROLE_OWNER", "ROLE_MANAGER", "ROLE_FRONT_DESK"];
export const ROLES = {
  ROLE_OWNER: "owner",
  ROLE_MANAGER: "manager",
  ROLE_FRONT_DESK: "front desk",
  ROLE_INSTRUCTOR: "instructor",
  ROLE_CLIENT: "client",
};
const WHY_NOT = { FULL: "Full", NOT_YET_OPEN: "Not open yet", CLOSED: "Closed", CANCELLED: "Cancelled" };

let me;
let studios = [];

const chosen = () => $("studios").value;
const labelOf = (item) => `${item.classTypeDisplayName}, ${dayOf(item.localStart)}, ${timeOf(item.localStart)}`;
const lines = (...texts) => texts.filter(Boolean).map((text) => make("small", { textContent: text }));
const list = (items, otherwise) => (items.length ? make("ul", {}, ...items) : empty(otherwise));

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

async function showStudio() {
  const studio = studios.find(({ name }) => name === chosen());
  const roles = me.roleBindings.filter((binding) => binding.name.startsWith(`${studio.name}/`)).map((binding) => binding.role);
  const works = roles.length > 0;
  // Whoever may see every client of the studio is not asked about their own.
  const visits = !roles.some((role) => WHOLE_STUDIO.includes(role));
  const [sessions, latest, clients, packages, shop, bought] = await Promise.all([
    all(`${studio.name}/bookableSessions`, "bookableSessions", works ? { startTime: startOfToday(studio.timeZone).toISOString() } : {}),
    // Latest class first: what is to come is on the first page.
    visits ? get(`${studio.name}/bookings?activeOnly=true&pageSize=200`) : { bookings: [] },
    visits ? all(`${studio.name}/clients`, "clients") : [],
    visits ? all(`${studio.name}/clientPackages`, "clientPackages") : [],
    visits ? shopItems(studio.name) : [],
    visits ? history(studio.name, studio.timeZone) : [],
  ]);
  if (studio.name !== chosen()) return;
  const row = document.activeElement?.closest("li")?.id;
  const isClient = clients.length > 0;
  $("studio-name").textContent = studio.displayName;
  $("role").replaceChildren(...(works ? workplace(studio, roles) : []));
  $("join").hidden = works || isClient;
  $("mine").hidden = !isClient;
  const bookings = latest.bookings.filter((booking) => new Date(booking.startTime) > now()).reverse();
  $("bookings").replaceChildren(list(bookings.map((booking) => bookingRow(booking, clients)), "Nothing booked. Pick a class below."));
  $("credits").replaceChildren(...clients.map((client) => creditCard(client, clients, packages, studio.timeZone)));
  $("shop").replaceChildren(...shop);
  $("purchases").replaceChildren(...bought);
  showWeek(sessions, { works, books: isClient });
  // The rows are new, the keyboard's place stays: at what is left to press, else at the row, else above.
  const place = row && document.getElementById(row);
  if (row) (place?.querySelector("select, button") ?? place ?? $("bookings-title")).focus();
}

function workplace(studio, roles) {
  const link = `${location.origin}/?studio=${studio.name.split("/")[1]}`;
  return [
    make("span", { textContent: `You work here: ${roles.map((role) => ROLES[role]).join(", ")}. ` }),
    make("span", {}, "Link for your clients: ", make("a", { href: link, textContent: link })),
  ];
}

function creditCard(client, clients, packages, timeZone) {
  const usable = packages.filter(
    (pack) => pack.client === client.name && pack.creditsLeft && !(pack.expireTime && new Date(pack.expireTime) <= now()),
  );
  return make(
    "div", { className: "card" },
    make("strong", { textContent: `${clients.length > 1 ? `${client.displayName}: ` : ""}${client.creditsLeft} ${client.creditsLeft === 1 ? "credit" : "credits"} left` }),
    ...lines(
      ...usable.map((pack) => `${pack.displayName}: ${pack.creditsLeft} of ${pack.creditsGranted}${pack.expireTime ? `, until ${dateOf(pack.expireTime, timeZone)}` : ""}`),
      usable.length ? "" : "Buy a class pack to book.",
    ),
  );
}

function showWeek(sessions, can) {
  const zones = new Set(sessions.map((session) => session.timeZone));
  const [zone] = zones;
  $("zone").textContent = zones.size === 1 && !isHere(zone) ? `All times are ${zone.replaceAll("_", " ")} time.` : "";
  const days = Map.groupBy(sessions, (session) => session.localStart.slice(0, 10));
  $("week").replaceChildren(
    ...[...days.values()].flatMap((day) => [
      make("h3", { textContent: dayOf(day[0].localStart) }),
      make("ul", {}, ...day.map((session) => sessionRow(session, { ...can, zones }))),
    ]),
    ...(sessions.length ? [] : [empty("No classes in these days.")]),
  );
}

function row(id, item, details, actions) {
  return make(
    "li", { id, tabIndex: -1 },
    make("time", { dateTime: item.startTime, textContent: timeOf(item.localStart) }),
    make("div", { className: "what" }, item.classTypeDisplayName, ...lines(...details)),
    make("div", { className: "act" }, ...actions),
  );
}

function sessionRow(session, { works, books, zones }) {
  const booked = session.capacity - session.freePlaces;
  const details = [
    [session.instructorDisplayName, session.roomDisplayName, session.locationDisplayName].filter(Boolean).join(" · "),
    works ? `${booked} of ${session.capacity} booked · ${session.freePlaces} free` : `${session.freePlaces} of ${session.capacity} places free`,
    zones.size > 1 ? `${session.timeZone.replaceAll("_", " ")} time` : "",
  ];
  const actions = [];
  if (session.myBooking) actions.push(make("span", { className: "tag", textContent: "Booked" }));
  else if (books && session.availability === "OPEN") actions.push(...bookButton(session));
  else if (session.availability !== "OPEN" && (!works || session.availability === "CANCELLED")) {
    actions.push(make("span", { className: "tag", textContent: WHY_NOT[session.availability] ?? "" }));
  }
  if (works) actions.push(rosterButton(session));
  return row(session.classSession, session, details, actions);
}

function bookButton(session) {
  const label = labelOf(session);
  const spots = make("select", { ariaLabel: `Spot for ${label}`, hidden: !session.freeSpots.length }, make("option", { value: "", textContent: "Any spot" }));
  spots.append(...session.freeSpots.map((spot) => make("option", { value: spot, textContent: spot })));
  const button = make("button", { textContent: "Book", ariaLabel: `Book ${label}` });
  button.onclick = () => act(button, async () => {
    const booking = await changed(once(`${chosen()}/bookings`, { classSession: session.classSession, spot: spots.value }));
    say(`Booked: ${label}${booking.spot ? `, ${booking.spot}` : ""}. A confirmation is on its way by e-mail.`);
  });
  return [spots, button];
}

function rosterButton(session) {
  const button = make("button", { className: "quiet", textContent: "Roster", ariaLabel: `Roster of ${labelOf(session)}` });
  button.onclick = () => act(button, async () => {
    const roster = await get(`${session.classSession}/roster`).catch((error) => {
      if (error.reason !== "PERMISSION_DENIED") throw error;
      throw new Refused("This roster is not yours to see: instructors see those of the classes they teach.", error);
    });
    showRoster(roster);
  });
  return button;
}

function showRoster({ session, entries }) {
  $("roster-title").textContent = labelOf(session);
  $("roster-text").textContent = `${session.instructorDisplayName} · ${entries.length} of ${session.capacity} booked · ${session.freePlaces} free`;
  const rows = entries.map(({ displayName, booking }) => make("li", {}, make("span", { className: "what", textContent: displayName }), booking.spot));
  $("roster-list").replaceChildren(list(rows, "Nobody has booked yet."));
  $("roster").showModal();
}

function bookingRow(booking, clients) {
  const label = labelOf(booking);
  const until = momentOf(booking.freeCancelUntil, booking.timeZone) + (isHere(booking.timeZone) ? "" : ` (${booking.timeZone.replaceAll("_", " ")} time)`);
  const isFree = () => new Date(booking.freeCancelUntil) >= now();
  const button = make("button", { className: "quiet", textContent: "Cancel", ariaLabel: `Cancel ${label}` });
  button.onclick = () => act(button, async () => {
    const cost = isFree()
      ? `Cancelling is free until ${until}: your credit comes back. After that it does not.`
      : `Cancelling was free until ${until}. Your credit will not come back.`;
    if (!(await confirmed(label, cost))) return;
    const cancelled = await changed(once(`${booking.name}:cancel`, { etag: booking.etag }));
    say(`Cancelled: ${label}. ${cancelled.creditReturned ? "Your credit is back." : "It was too late to return the credit."}`);
  });
  const details = [
    dayOf(booking.localStart),
    [clients.length > 1 && booking.clientDisplayName, booking.spot].filter(Boolean).join(" · "),
    isFree() ? `Free to cancel until ${until}` : `Free cancelling ended ${until}`,
  ];
  return row(booking.name, booking, details, [button]);
}

// What a write answers, once the page shows the state after it. A refusal, too, tells of a state that is news.
async function changed(write) {
  try {
    return await write;
  } finally {
    await showStudio().catch(() => {});
  }
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
