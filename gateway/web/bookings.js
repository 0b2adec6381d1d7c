// What a client has booked, and giving it back.

import { now, once } from "/api.js";
import { changed } from "/changes.js";
import { confirmed } from "/dialogs.js";
import { make, say } from "/dom.js";
import { money } from "/money.js";
import { payLink } from "/pay-link.js";
import { actionButton, classRow, labelOf, list } from "/rows.js";
import { dayOf, isHere, momentOf, timeIn } from "/times.js";

export const isHeld = ({ state }) => state === "PENDING_PAYMENT";

export function bookingList(bookings, clients) {
  const coming = bookings.filter((booking) => new Date(booking.startTime) > now()).reverse();
  return list(coming.map((booking) => (isHeld(booking) ? heldRow : bookingRow)(booking, clients)), "Nothing booked. Pick a class to begin with.");
}

const details = (booking, clients, ...more) => [
  dayOf(booking.localStart),
  [clients.length > 1 && booking.clientDisplayName, booking.spot].filter(Boolean).join(" · "),
  ...more,
];

// A place that waits for its payment.
function heldRow(booking, clients) {
  const until = timeIn(booking.holdExpireTime, booking.timeZone);
  const pay = make("a", { className: "button", href: payLink({ booking: booking.name }), textContent: "Pay", ariaLabel: `Pay for ${labelOf(booking)}` });
  const cancel = cancelButton(booking, () => "Nothing was paid, and nothing is charged. Others can have the place.", () => "The place is free again.");
  return classRow(booking.name, booking, details(booking, clients, `Not paid yet: held for you until ${until}`), [pay, cancel]);
}

function bookingRow(booking, clients) {
  const until = momentOf(booking.freeCancelUntil, booking.timeZone) + (isHere(booking.timeZone) ? "" : ` (${booking.timeZone.replaceAll("_", " ")} time)`);
  const isFree = () => new Date(booking.freeCancelUntil) >= now();
  const paid = booking.clientPackage ? "credit" : "money";
  const fee = Number(booking.lateCancelFeeMinor) ? ` A fee of ${money(booking.lateCancelFeeMinor, booking.currencyCode)} is charged.` : "";
  const cost = () => (isFree()
    ? `Cancelling is free until ${until}: your ${paid} comes back. After that it does not.`
    : `Cancelling was free until ${until}. Your ${paid} will not come back.${fee}`);
  const outcome = ({ state }) => {
    if (state !== "CANCELLED_EARLY") return `It was too late to return the ${paid}.${fee}`;
    return booking.clientPackage ? "Your credit is back." : "Your money is on its way back to you.";
  };
  const button = cancelButton(booking, cost, outcome);
  return classRow(booking.name, booking, details(booking, clients, isFree() ? `Free to cancel until ${until}` : `Free cancelling ended ${until}`), [button]);
}

function cancelButton(booking, cost, outcome) {
  const label = labelOf(booking);
  const button = actionButton("Cancel", label, async () => {
    const asked = { title: "Cancel this booking?", label, text: cost(), no: "Keep it", yes: "Cancel the booking" };
    if (!(await confirmed(asked))) return;
    const cancelled = await changed(once(`${booking.name}:cancel`, { etag: booking.etag }));
    say(`Cancelled: ${label}. ${outcome(cancelled)}`);
  });
  button.ariaLabel = `Cancel ${label}`;
  return button;
}
