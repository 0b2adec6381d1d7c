import { ask, element, leave, rest, show, tell } from "./stripe.js";

const secret = rest.replace(/^authenticate\//, "");

async function answer(outcome) {
  element("choice").hidden = true;
  try {
    const { status, redirect } = await tell(`/elements/authenticate/${secret}`, { outcome });
    if (redirect) return leave(redirect);
    show("done", status === "requires_payment_method" ? "Refused." : "Approved. You can close this window.");
  } catch (error) {
    show("error", error.message);
  }
}

try {
  const intent = await ask(`/elements/${secret}/state`);
  element("what").textContent = intent.amount ? `Payment of ${intent.amount} ${intent.currency}` : "A card to be saved";
  show("description", intent.description);
  element("choice").hidden = intent.status !== "requires_action";
  if (intent.status !== "requires_action") show("done", "There is nothing left to approve.");
  element("succeed").addEventListener("click", () => answer("succeed"));
  element("fail").addEventListener("click", () => answer("fail"));
} catch (error) {
  show("error", error.message);
}
