// Times as the studio's people say them: in the zone of the class, whatever the zone of this device.

import { now } from "/api.js";

// The page speaks English; whether 17:30 or 5:30 PM is for the person's own English to say.
const LOCALE = navigator.languages.find((language) => language.startsWith("en")) ?? "en-GB";
const HOUR = { hour: "2-digit", minute: "2-digit" };

const format = (time, options) => new Intl.DateTimeFormat(LOCALE, options).format(time);

// Of wall times like "2026-11-23T10:00".
const wall = (local, options) => format(new Date(`${local.slice(0, 16)}Z`), { ...options, timeZone: "UTC" });
export const dayOf = (local) => wall(local, { weekday: "long", day: "numeric", month: "long" });
export const timeOf = (local) => wall(local, HOUR);

// Of instants.
export const dateOf = (time, timeZone) => format(new Date(time), { day: "numeric", month: "long", year: "numeric", timeZone });
export const timeIn = (time, timeZone) => format(new Date(time), { ...HOUR, timeZone });
export const momentOf = (time, timeZone) => format(new Date(time), { weekday: "short", day: "numeric", month: "short", ...HOUR, timeZone });

// Months compare as texts: "2026-11".
export const monthOf = (time, timeZone) => new Intl.DateTimeFormat("sv-SE", { year: "numeric", month: "2-digit", timeZone }).format(new Date(time));

export const isHere = (timeZone) => timeZone === Intl.DateTimeFormat().resolvedOptions().timeZone;

// When today began at a place, for lists that also show what is over.
export function startOfToday(timeZone) {
  const [hours, minutes, seconds] = new Intl.DateTimeFormat("en-GB", { ...HOUR, second: "2-digit", hourCycle: "h23", timeZone })
    .format(now()).split(":").map(Number);
  return new Date(now().getTime() - ((hours * 60 + minutes) * 60 + seconds) * 1000);
}

// The instant at which a day like "2026-11-23" begins at a place.
export function startOfDay(day, timeZone) {
  const midnight = Date.parse(`${day}T00:00Z`);
  const shown = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone }).format(midnight);
  return new Date(midnight - (Date.parse(`${shown.replace(" ", "T")}Z`) - midnight));
}
