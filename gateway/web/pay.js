// Paying: what it costs, the provider's form, and what became of it. Whether it is paid is for the studio's server to say,
// never for this page.

import { get, Refused } from "/api.js";
import { asked } from "/address.js";
import { follow } from "/buying.js";
import { saveCard } from "/card-setup.js";
import { $, act, say, show } from "/dom.js";
import { followMembership } from "/joining.js";
import { showOrder, showPlace } from "/order.js";

const wanted = asked.option ?? asked.purchase ?? asked.membership ?? asked.booking ?? asked.card ?? "";
const studioName = /^studios\/[0-9a-f-]{36}/.exec(wanted)?.[0];

async function start() {
  if (!studioName) throw new Refused("Please choose at the studio what to buy.");
  $("back").href = $("done").href = `/?studio=${studioName.split("/")[1]}`;
  let person;
  try {
    person = await get("accounts/me");
  } catch (error) {
    if (error.signedOut) location.assign($("back").href);
    throw error;
  }
  $("who").textContent = person.account.displayName;
  const studio = await get(studioName);
  $("studio-name").textContent = studio.displayName;
  if (asked.card) return saveCard(asked.card, asked.replaces);
  if (asked.purchase) return follow(await get(asked.purchase));
  if (asked.membership) return followMembership(await get(asked.membership), studio.timeZone);
  if (asked.booking) return showPlace(studio, await get(asked.booking));
  await showOrder(studio, await get(asked.option));
}

async function load() {
  try {
    await start();
  } catch (error) {
    show("broken");
    throw error;
  }
}
$("notice-close").addEventListener("click", () => say(""));
$("again").addEventListener("click", (event) => act(event.target, load));
document.addEventListener("signed-out", () => location.assign($("back").href));
// Come back to by the browser's own button, it shows what is so now.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
await act($("again"), load);
