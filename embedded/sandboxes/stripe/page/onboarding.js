import { ask, element, leave, rest, show, tell } from "./stripe.js";

const path = `/onboarding/${rest}/state`;

try {
  const account = await ask(path);
  element("who").textContent = account.name ?? account.email ?? "A new account";
  element("account").textContent = account.account;
  element("complete").hidden = false;
  element("complete").addEventListener("click", async () => {
    element("complete").disabled = true;
    try {
      leave((await tell(path, {})).redirect);
    } catch (error) {
      show("error", error.message);
    }
  });
} catch (error) {
  show("error", error.message);
}
