// A gift card that was bought: its code, and sending it to somebody by mail.

import { get, now, once, send } from "/api.js";
import { $, act, onSubmit } from "/dom.js";
import { momentOf } from "/times.js";

// How often, and after how many milliseconds each, the page looks what became of a mail that is to leave now.
const LOOKS = 15;
const PAUSE = 2000;
const GONE = { ACCEPTED: "It was sent to", DELIVERED: "It has arrived at", SKIPPED: "It could not be sent to", FAILED: "It could not be sent to" };

let card;
let timeZone;
let looking;

// Shows what can be done with a card; answers it.
export async function offer(name) {
  timeZone = (await get(name.split("/giftCards/")[0])).timeZone;
  card = await get(name);
  for (const [field, value] of Object.entries(card.letter ?? {})) {
    const input = $("gift").elements[field];
    if (input) input.value = value;
  }
  $("show-code").hidden = $("gift").hidden = false;
  await tell(card);
  return card;
}

async function tell(told, looks = LOOKS) {
  card = told;
  clearTimeout(looking);
  const { letter } = card;
  $("take-back").hidden = !letter || Boolean(letter.handOverTime);
  $("send-gift").textContent = letter ? "Send it again" : "Send it";
  const delivery = letter?.handOverTime && await get(`${card.name}/delivery`);
  $("gift-state").textContent = letter ? stateOf(letter, delivery) : "";
  const leaves = letter && new Date(letter.dueTime) - now() < LOOKS * PAUSE;
  if (leaves && !(delivery?.state in GONE) && looks) looking = setTimeout(() => look(looks - 1), PAUSE);
}

// Nobody has asked for it, so nothing is said when it cannot be told.
const look = async (looks) => tell(await get(card.name), looks).catch(() => {});

function stateOf(letter, delivery) {
  const to = letter.recipientEmail;
  if (delivery?.state in GONE) {
    const [gone, failed] = [GONE[delivery.state], ["SKIPPED", "FAILED"].includes(delivery.state)];
    return failed ? `${gone} ${to}: ${delivery.reason}.` : `${gone} ${to}.`;
  }
  return delivery || !letter.sendDate ? `It is on its way to ${to}.` : `It leaves for ${to} on ${momentOf(letter.dueTime, timeZone)}.`;
}

async function showCode(renew) {
  $("gift-card-code-shown").textContent = (await send(`${card.name}:showCode`, { renew })).code;
  $("renew-code").hidden = false;
}

onSubmit("gift", async (letter) => {
  await once(`${card.name}:send`, { letter });
  // A code that was shown may have ended by it.
  $("gift-card-code-shown").textContent = "";
  $("renew-code").hidden = true;
  await tell(await get(card.name));
});
$("take-back").addEventListener("click", (event) => act(event.target, async () => tell(await once(`${card.name}:cancelLetter`, {}))));
$("show-code").addEventListener("click", (event) => act(event.target, () => showCode(false)));
$("renew-code").addEventListener("click", (event) => act(event.target, () => showCode(true)));
