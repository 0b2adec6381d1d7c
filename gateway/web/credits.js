// What a client can book with.

import { now } from "/api.js";
import { make } from "/dom.js";
import { lines } from "/rows.js";
import { dateOf } from "/times.js";

export const isUnlimited = ({ kind }) => kind === "UNLIMITED";

const isUsable = (pack) => pack.creditsLeft > 0 && !pack.revokeTime && !(pack.expireTime && new Date(pack.expireTime) <= now());

export const usable = (packages, client) => packages.filter((pack) => pack.client === client && isUsable(pack));

export const lastDayOf = ({ lastDay }) => dateOf(`${lastDay}T00:00Z`, "UTC");

function packageLine(pack) {
  const left = isUnlimited(pack) ? `${pack.displayName}: as often as you like` : `${pack.displayName}: ${pack.creditsLeft} of ${pack.creditsGranted}`;
  return left + (pack.lastDay ? `, until ${lastDayOf(pack)}` : "");
}

export function creditCard(client, clients, packages) {
  const mine = usable(packages, client.name);
  const others = mine.filter((pack) => !isUnlimited(pack));
  const unlimited = others.length < mine.length;
  const counted = unlimited ? others.reduce((sum, pack) => sum + pack.creditsLeft, 0) : client.creditsLeft;
  const left = `${counted} ${counted === 1 ? "credit" : "credits"} left`;
  const said = unlimited ? ["Book as often as you like", counted && left].filter(Boolean).join(" · ") : left;
  return make(
    "div", { className: "card" },
    make("strong", { textContent: `${clients.length > 1 ? `${client.displayName}: ` : ""}${said}` }),
    ...lines(...mine.map(packageLine), mine.length ? "" : "Buy a class pack or join a membership to book."),
  );
}
