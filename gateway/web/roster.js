// Who comes to a class.

import { get, Refused } from "/api.js";
import { $, act, make } from "/dom.js";
import { labelOf, list } from "/rows.js";

export function rosterButton(session) {
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
