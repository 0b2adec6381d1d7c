// The first face of the product: sign in, see the week, book, cancel. Everything it does, the API under /v1 does.

const $ = (id) => document.getElementById(id);
const STUDIO = /studios?[=/]([0-9a-f-]{36})|^([0-9a-f-]{36})$/;
const STAFF = ["ROLE_OWNER", "ROLE_MANAGER", "ROLE_FRONT_DESK"];
const WHY_NOT = { FULL: "Full", NOT_YET_OPEN: "Not open yet", CLOSED: "Closed", CANCELLED: "Cancelled" };

let csrf = "";
let account = null;
let roles = [];
// A write that got no answer keeps its key, so trying again cannot do it twice.
const keys = new Map();

class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? "Something went wrong. Please try again.");
    this.status = status;
    this.reason = error?.details?.find((detail) => detail.reason)?.reason;
  }
}

async function call(method, path, body) {
  const headers = {};
  const intent = `${method} ${path} ${JSON.stringify(body ?? null)}`;
  if (method !== "GET") {
    headers["X-CSRF-Token"] = csrf;
    if (!keys.has(intent)) keys.set(intent, crypto.randomUUID());
    headers["Idempotency-Key"] = keys.get(intent);
    if (body) headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(`/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Refused(0, { message: "No connection. Please try again." });
  }
  csrf = answer.headers.get("X-CSRF-Token") ?? csrf;
  // 5xx: whether it happened is not known, so the key stays.
  if (answer.status < 500) keys.delete(intent);
  const document = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, document.error);
  return document;
}

async function all(path, field) {
  const items = [];
  let token = "";
  do {
    const page = await call("GET", `${path}${path.includes("?") ? "&" : "?"}pageSize=200&pageToken=${encodeURIComponent(token)}`);
    items.push(...page[field]);
    token = page.nextPageToken;
  } while (token);
  return items;
}

function say(text, bad = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
  $("notice").hidden = !text;
}

// Runs what a button or form asks for: shows errors in words, and keeps it from being pressed twice meanwhile.
async function act(button, work) {
  button.disabled = true;
  say("");
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401 && account) {
      showSignIn();
      say("You were signed out. Please sign in again.", true);
    } else {
      say(error.message, true);
    }
  } finally {
    button.disabled = false;
  }
}

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Wall time of the class ("2026-11-23T10:00") is shown as it is, whatever the zone of this device.
const wall = (local, options) =>
  new Intl.DateTimeFormat(undefined, { ...options, timeZone: "UTC" }).format(new Date(`${local.slice(0, 16)}Z`));
const dayOf = (local) => wall(local, { weekday: "long", day: "numeric", month: "long" });
const timeOf = (local) => wall(local, { hour: "2-digit", minute: "2-digit" });
const instant = (time, timeZone) =>
  new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone }).format(new Date(time));
const zoneNote = (zone) => (zone === Intl.DateTimeFormat().resolvedOptions().timeZone ? "" : ` · ${zone.replace("_", " ")} time`);
const empty = (text) => make("p", { className: "empty", textContent: text });

function remembered() {
  const linked = STUDIO.exec(location.search);
  const known = JSON.parse(localStorage.getItem("studios") ?? "[]");
  const all = [...new Set([...(linked ? [`studios/${linked[1]}`] : []), ...known])];
  localStorage.setItem("studios", JSON.stringify(all));
  return all;
}

function showSignIn() {
  account = null;
  $("who").textContent = "";
  for (const id of ["sign-out", "studio", "find-studio"]) $(id).hidden = true;
  $("sign-in").hidden = false;
}

async function start() {
  try {
    ({ account, roleBindings: roles } = await call("GET", "accounts/me"));
  } catch (error) {
    if (error.status !== 401) throw error;
    showSignIn();
    return;
  }
  $("sign-in").hidden = true;
  $("sign-out").hidden = false;
  $("who").textContent = account.displayName;
  await showStudios();
}

async function showStudios() {
  const studios = await all("studios", "studios");
  for (const name of remembered()) {
    if (studios.some((studio) => studio.name === name)) continue;
    const studio = await call("GET", name).catch(() => null);
    if (studio) studios.push(studio);
  }
  $("find-studio").hidden = studios.length > 0;
  $("studio").hidden = studios.length === 0;
  $("choose").hidden = studios.length < 2;
  $("studios").replaceChildren(...studios.map((studio) => make("option", { value: studio.name, textContent: studio.displayName })));
  if (studios.length) await showStudio();
}

async function showStudio() {
  const studio = $("studios").value;
  const staff = roles.some((binding) => binding.name.startsWith(studio) && STAFF.includes(binding.role));
  const [sessions, bookings, clients] = await Promise.all([
    all(`${studio}/bookableSessions`, "bookableSessions"),
    staff ? [] : all(`${studio}/bookings?activeOnly=true`, "bookings"),
    staff ? [] : all(`${studio}/clients`, "clients"),
  ]);
  if (studio !== $("studios").value) return;
  $("join").hidden = staff || clients.length > 0;
  $("credits").textContent = clients.length ? clients.map((client) => `${client.displayName}: ${client.creditsLeft} credits left`).join(" · ") : "";
  $("bookings").replaceChildren(
    ...(bookings.length ? bookings.map(bookingRow) : [empty(staff ? "You work here: rosters are under /v1." : "Nothing booked. Pick a class below.")]),
  );
  showWeek(sessions);
}

function showWeek(sessions) {
  const days = new Map();
  for (const session of sessions) {
    const date = session.localStart.slice(0, 10);
    days.set(date, [...(days.get(date) ?? []), session]);
  }
  $("week").replaceChildren(
    ...(sessions.length
      ? [...days.values()].flatMap((day) => [make("h3", { textContent: dayOf(day[0].localStart) }), make("ul", {}, ...day.map(sessionRow))])
      : [empty("No classes in the next seven days.")]),
  );
}

function row(item, lines, ...actions) {
  return make(
    "li", {},
    make("time", { dateTime: item.startTime, textContent: timeOf(item.localStart) }),
    make("div", { className: "what" }, item.classTypeDisplayName, ...lines.filter(Boolean).map((line) => make("small", { textContent: line }))),
    make("div", { className: "act" }, ...actions),
  );
}

function sessionRow(session) {
  const label = `${session.classTypeDisplayName}, ${dayOf(session.localStart)} ${timeOf(session.localStart)}`;
  const lines = [
    [session.instructorDisplayName, session.roomDisplayName, session.locationDisplayName].filter(Boolean).join(" · "),
    `${session.freePlaces} of ${session.capacity} places free${zoneNote(session.timeZone)}`,
  ];
  if (session.myBooking) return row(session, lines, make("span", { textContent: "Booked" }));
  if (session.availability !== "OPEN") return row(session, lines, make("span", { textContent: WHY_NOT[session.availability] ?? "" }));
  const spots = make("select", { ariaLabel: `Spot for ${label}`, hidden: !session.freeSpots.length }, make("option", { value: "", textContent: "Any spot" }));
  spots.append(...session.freeSpots.map((spot) => make("option", { value: spot, textContent: spot })));
  const button = make("button", { textContent: "Book", ariaLabel: `Book ${label}` });
  button.onclick = () => act(button, async () => {
    await call("POST", `${$("studios").value}/bookings`, { classSession: session.classSession, spot: spots.value });
    await showStudio();
    say(`Booked: ${label}. A confirmation is on its way by e-mail.`);
  });
  return row(session, lines, spots, button);
}

function bookingRow(booking) {
  const label = `${booking.classTypeDisplayName}, ${dayOf(booking.localStart)} ${timeOf(booking.localStart)}`;
  const button = make("button", { className: "quiet", textContent: "Cancel", ariaLabel: `Cancel ${label}` });
  const free = booking.freeCancelUntil ? `Cancelling is free until ${instant(booking.freeCancelUntil, booking.timeZone)}.` : "";
  button.onclick = () => act(button, async () => {
    if (!(await confirmed(`${label}. ${free} After that the credit is not returned.`))) return;
    const cancelled = await call("POST", `${booking.name}:cancel`, { etag: booking.etag });
    await showStudio();
    say(`Cancelled: ${label}. ${cancelled.creditReturned ? "Your credit is back." : "It was too late to return the credit."}`);
  });
  return row(booking, [dayOf(booking.localStart) + zoneNote(booking.timeZone), booking.spot, free], button);
}

function confirmed(text) {
  const dialog = $("confirm");
  $("confirm-text").textContent = text;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

function onSubmit(id, work) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.submitter ?? $(id).querySelector("button"), () => work(Object.fromEntries(new FormData($(id)))));
  });
}

onSubmit("sign-in", async (fields) => {
  await call("POST", "accounts:signIn", fields);
  $("sign-in").reset();
  await start();
});
onSubmit("find-studio", async ({ studio }) => {
  const found = STUDIO.exec(studio.trim());
  if (!found) throw new Refused(400, { message: "That is not a studio link." });
  const name = `studios/${found[1] ?? found[2]}`;
  await call("GET", name);
  localStorage.setItem("studios", JSON.stringify([name, ...remembered()]));
  await showStudios();
});
onSubmit("join", async () => {
  await call("POST", `${$("studios").value}/clients:join`, { displayName: account.displayName, email: account.email });
  await showStudio();
});
$("studios").addEventListener("change", (event) => act(event.target, showStudio));
$("sign-out").addEventListener("click", (event) => act(event.target, async () => {
  await call("POST", "accounts/me:signOut");
  showSignIn();
}));
act($("sign-out"), start);
