// The classes of the coming days, to be booked or looked after.

import { once } from "/api.js";
import { changed } from "/changes.js";
import { offerPlace } from "/drop-ins.js";
import { $, act, empty, make, say } from "/dom.js";
import { rosterButton } from "/roster.js";
import { classRow, labelOf } from "/rows.js";
import { dayOf, isHere } from "/times.js";

const WHY_NOT = { FULL: "Full", NOT_YET_OPEN: "Not open yet", CLOSED: "Closed", CANCELLED: "Cancelled" };

// `can`: the studio, what it sells (to come), which of the bookings are not paid yet, and whether the person works there or books.
export function showWeek(sessions, can) {
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

function sessionRow(session, can) {
  const { works, books, zones } = can;
  const booked = session.capacity - session.freePlaces;
  const details = [
    [session.instructorDisplayName, session.roomDisplayName, session.locationDisplayName].filter(Boolean).join(" · "),
    works ? `${booked} of ${session.capacity} booked · ${session.freePlaces} free` : `${session.freePlaces} of ${session.capacity} places free`,
    zones.size > 1 ? `${session.timeZone.replaceAll("_", " ")} time` : "",
  ];
  const actions = [];
  if (session.myBooking) actions.push(make("span", { className: "tag", textContent: can.held.has(session.myBooking) ? "Not paid yet" : "Booked" }));
  else if (books && session.availability === "OPEN") actions.push(...bookButton(session, can));
  else if (session.availability !== "OPEN" && (!works || session.availability === "CANCELLED")) {
    actions.push(make("span", { className: "tag", textContent: WHY_NOT[session.availability] ?? "" }));
  }
  if (works) actions.push(rosterButton(session, can));
  return classRow(session.classSession, session, details, actions);
}

function bookButton(session, { studio, options }) {
  const label = labelOf(session);
  const spots = make("select", { ariaLabel: `Spot for ${label}`, hidden: !session.freeSpots.length }, make("option", { value: "", textContent: "Any spot" }));
  spots.append(...session.freeSpots.map((spot) => make("option", { value: spot, textContent: spot })));
  const button = make("button", { textContent: "Book", ariaLabel: `Book ${label}` });
  button.onclick = () => act(button, async () => {
    const booking = await changed(once(`${studio}/bookings`, { classSession: session.classSession, spot: spots.value })).catch((error) => {
      if (error.reason !== "NO_CREDIT") throw error;
    });
    if (!booking) return offerPlace(studio, session, spots.value, await options);
    say(`Booked: ${label}${booking.spot ? `, ${booking.spot}` : ""}. A confirmation is on its way by e-mail.`);
  });
  return [spots, button];
}
