// Dialogs that ask before something is done.

import { Refused } from "/api.js";
import { keepPlace, place } from "/changes.js";
import { $, act } from "/dom.js";

// Whether the person confirms what `title` asks; `text` says what it costs.
export function confirmed({ title, label, text, no, yes }) {
  const dialog = $("confirm");
  const words = { title, label, text, no, yes };
  for (const [part, said] of Object.entries(words)) $(`confirm-${part}`).textContent = said;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// Answered by `work` when there is something new to read before it is done.
export const AGAIN = Symbol("again");

// Opens a dialog with a form. `work` does what it asks for with its fields; the dialog stays open, and says why, until that
// has come about. Whether it did.
export function asking(id, work) {
  const dialog = $(id);
  const form = dialog.querySelector("form");
  const fault = form.querySelector("[role=alert]");
  const row = place();
  let done = false;
  fault.textContent = "";
  form.onsubmit = (event) => {
    event.preventDefault();
    act(form.querySelector("button:not([type=button])"), async () => {
      fault.textContent = "";
      try {
        done = (await work(Object.fromEntries(new FormData(form)))) !== AGAIN;
        if (done) dialog.close();
      } catch (error) {
        if (error.signedOut) dialog.close();
        // Beside its field if it has one; else here, since the page behind is out of reach.
        if (!(error instanceof Refused) || error.signedOut || Object.keys(error.fields).some((name) => form.elements[name])) throw error;
        fault.textContent = error.message;
      }
    });
  };
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    if (done) keepPlace(row);
    resolve(done);
  }, { once: true }));
}

for (const button of document.querySelectorAll("dialog [data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
