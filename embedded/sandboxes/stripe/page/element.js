// The inside of a Payment Element: the cards, and the confirmation that the page around it asks for.
import { offer } from "./cards.js";
import { ask, confirm, element, rest, show } from "./stripe.js";

const path = `/elements/${rest.replace(/\/element$/, "")}`;

addEventListener("message", async ({ data, ports: [port] }) => {
  const fields = { ...data, payment_method: new FormData(element("form")).get("method") };
  try {
    port.postMessage({ intent: await confirm(`${path}/confirm`, fields) });
  } catch (problem) {
    port.postMessage({ error: problem.refusal ?? { type: "api_connection_error", message: problem.message } });
  }
});
new ResizeObserver(() => parent.postMessage({ height: document.documentElement.offsetHeight }, "*")).observe(document.documentElement);
element("form").addEventListener("submit", (event) => event.preventDefault());

try {
  offer(await ask(`${path}/state${location.search}`));
} catch (problem) {
  show("error", problem.message);
}
parent.postMessage({ ready: true }, "*");
