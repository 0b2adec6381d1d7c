// After each write the page shows the state after it, and the keyboard's place stays.

import { $ } from "/dom.js";

let refresh = async () => {};

export function onChange(work) {
  refresh = work;
}

// What a write answers, once the page shows what came of it. A refusal, too, tells of a state that is news.
export async function changed(write) {
  try {
    return await write;
  } finally {
    await refresh().catch(() => {});
  }
}

// The row or card in which the keyboard is.
export const place = () => document.activeElement?.closest("li, .card")?.id;

// The rows are new: at what is left to press in it, else at the row, else above.
export function keepPlace(id) {
  if (!id) return;
  const row = document.getElementById(id);
  (row?.querySelector("select, button, a") ?? row ?? $("bookings-title")).focus();
}
