// Who comes to a class.

import { get, Refused } from "/api.js";
import { showClientSales } from "/client-sales.js";
import { $, act, make } from "/dom.js";
import { actionButton, labelOf, lines, list, plainRow } from "/rows.js";

// `can`: whether the person may see what clients buy, and give money back.
export function rosterButton(session, can) {
  const button = make("button", { className: "quiet", textContent: "Roster", ariaLabel: `Roster of ${labelOf(session)}` });
  button.onclick = () => act(button, async () => {
    const roster = await get(`${session.classSession}/roster`).catch((error) => {
      if (error.reason !== "PERMISSION_DENIED") throw error;
      throw new Refused("This roster is not yours to see: instructors see those of the classes they teach.", error);
    });
    showRoster(roster, session.timeZone, can);
  });
  return button;
}

function showRoster({ session, entries }, timeZone, { sells, refunds }) {
  $("roster-title").textContent = labelOf(session);
  $("roster-text").textContent = `${session.instructorDisplayName} · ${entries.length} of ${session.capacity} booked · ${session.freePlaces} free`;
  const rows = entries.map(({ displayName, booking, guestOf }) => plainRow(booking.name, displayName, lines(booking.spot, guestOf && `with ${guestOf}`), sells ? [
    actionButton("Purchases", guestOf || displayName, () => showClientSales(booking.client, guestOf || displayName, timeZone, refunds)),
  ] : []));
  $("roster-list").replaceChildren(list(rows, "Nobody has booked yet."));
  $("roster").showModal();
}
