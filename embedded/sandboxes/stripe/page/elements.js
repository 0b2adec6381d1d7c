import { offer } from "./cards.js";
import { ask, confirm, element, leave, rest, show } from "./stripe.js";

const secret = decodeURIComponent(rest);
const query = new URLSearchParams(location.search);
let intent;

function draw() {
  const paying = intent.object === "payment_intent";
  const what = paying ? `Pay ${intent.amount} ${intent.currency}` : "Save a card";
  document.title = `${what} · sandbox`;
  element("title").textContent = what;
  element("submit").textContent = what;
  show("description", intent.description);
  // Where the eyes are after pressing the button.
  element("submit").before(element("error"));
  offer(intent);
}

function settle() {
  const done = {
    succeeded: intent.object === "payment_intent" ? "Paid. Thank you." : "Saved.",
    requires_capture: "Authorised.",
    processing: "On its way: the bank needs a few days.",
    canceled: "This payment was canceled.",
  }[intent.status];
  show("done", done);
  element("form").hidden = Boolean(done);
  return Boolean(done);
}

async function submit(event) {
  event.preventDefault();
  show("error");
  element("submit").disabled = true;
  const back = query.get("return_url") ?? location.href;
  const fields = {
    key: query.get("key") ?? intent.key,
    _stripe_account: query.get("account") ?? intent.account,
    client_secret: secret,
    payment_method: new FormData(element("form")).get("method"),
    return_url: back,
  };
  try {
    const answer = await confirm(`/elements/${encodeURIComponent(secret)}/confirm`, fields);
    if (answer.next_action) return leave(answer.next_action.redirect_to_url.url);
    intent = { ...intent, status: answer.status };
    if (settle() && query.get("return_url")) {
      const address = new URL(back, location.href);
      address.searchParams.set(intent.object, intent.id);
      address.searchParams.set(`${intent.object}_client_secret`, secret);
      address.searchParams.set("redirect_status", "succeeded");
      leave(address);
    }
  } catch (error) {
    show("error", error.message);
    element("submit").disabled = false;
    element("submit").focus();
  }
}

try {
  intent = await ask(`/elements/${encodeURIComponent(secret)}/state`);
  draw();
  if (!settle()) show("error", intent.declined);
  element("form").addEventListener("submit", submit);
} catch (error) {
  show("error", error.message);
}
