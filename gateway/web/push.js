// Push messages: whether this browser shows what somebody's clients are sent by a studio, and the button that changes it.

import { all, get, once, Refused } from "/api.js";
import { $, act, say } from "/dom.js";

const WORKER = "/push-worker.js";

let key;
// Those of the studio in sight for whom the person acts: name → name of this browser's subscription, if there is one.
let listening = new Map();

const possible = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
const isOn = () => [...listening.values()].some(Boolean);

// What this browser is subscribed by, to any studio at all.
async function subscription() {
  const registration = await navigator.serviceWorker.getRegistration("/");
  return (await registration?.pushManager.getSubscription()) ?? null;
}

// `names` are those of the clients for whom the person in sight acts.
export async function showPush(names) {
  $("push").hidden = true;
  if (!possible() || !names.length) return;
  key ??= (await get("pushKey")).publicKey;
  if (!key) return;
  const mine = await subscription();
  const found = await Promise.all(names.map(async (name) => [name, mine && (await subscribed(name, mine.endpoint))]));
  listening = new Map(found);
  // Whoever is new among them is shown here like the others.
  if (isOn()) await tell(mine);
  $("push").hidden = false;
  $("push-text").textContent = isOn()
    ? "This browser shows reminders and news of your classes."
    : "Reminders and news of your classes can be shown by this browser, even when this page is closed.";
  $("push-switch").textContent = isOn() ? "Turn off" : "Turn on";
}

async function subscribed(client, endpoint) {
  const known = await all(`${client}/pushSubscriptions`, "pushSubscriptions");
  return known.find((each) => each.endpoint === endpoint)?.name;
}

async function tell(mine) {
  const { endpoint, keys } = mine.toJSON();
  for (const [client, name] of listening) {
    if (!name) listening.set(client, (await once(`${client}/pushSubscriptions`, { endpoint, ...keys })).name);
  }
}

async function subscribe() {
  if ((await Notification.requestPermission()) !== "granted") {
    throw new Refused("Your browser keeps back what this page would show. Allow it in the browser's settings, then try again.");
  }
  const registration = await navigator.serviceWorker.register(WORKER);
  await navigator.serviceWorker.ready;
  try {
    return await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  } catch (error) {
    // Subscribed with a key that the server has no more.
    if (error.name !== "InvalidStateError") throw new Refused("This browser cannot be reached by push messages now. Please try again later.");
    await (await registration.pushManager.getSubscription())?.unsubscribe();
    return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  }
}

async function toggle() {
  const names = [...listening.keys()];
  if (isOn()) {
    for (const name of [...listening.values()].filter(Boolean)) await once(name, undefined, "DELETE");
    await showPush(names);
    say("This browser shows nothing of this studio any more.");
  } else {
    await tell(await subscribe());
    await showPush(names);
    say("This browser shows reminders and news of your classes from now on.");
  }
}

// Whoever comes next to this browser is shown nothing of it.
export async function leavePush() {
  if (possible()) await (await subscription().catch(() => null))?.unsubscribe().catch(() => {});
}

$("push-switch").addEventListener("click", (event) => act(event.target, toggle));
