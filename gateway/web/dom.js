// What every part of the page does with the document: making elements, showing a view, telling people what happened.

import { Refused } from "/api.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export const empty = (text) => make("p", { className: "soft", textContent: text });

// One view at a time. When the keyboard's place was in the view before, it goes on in this one.
export function show(id) {
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== id;
  const place = document.activeElement;
  if (place !== document.body && place?.checkVisibility()) return;
  [...$(id).querySelectorAll("input, select, button, [tabindex]")].find((element) => element.checkVisibility())?.focus();
}

export function say(text, bad = false) {
  $("notice-text").textContent = text;
  $("notice").classList.toggle("bad", bad);
}

// Runs what a button or form asks for: never twice at a time, and says in words why it failed.
export async function act(trigger, work) {
  // Not `disabled`, which would take the keyboard's place on the page away.
  if (trigger.ariaDisabled === "true") return;
  trigger.ariaDisabled = "true";
  say("");
  const form = trigger.closest("form");
  if (form) mark(form, {});
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refused)) {
      say("Something went wrong. Please load the page again.", true);
      throw error;
    }
    if (error.signedOut) document.dispatchEvent(new Event("signed-out"));
    const unplaced = form ? mark(form, error.fields) : true;
    if (error.signedOut) say("You were signed out. Please sign in again.", true);
    else if (unplaced) say(error.message, true);
  } finally {
    trigger.ariaDisabled = null;
  }
}

// Puts each fault beside its field and the keyboard into the first; true when a fault has no field, or there is none.
function mark(form, faults) {
  const inputs = [...form.querySelectorAll("input[name], select[name], textarea[name]")];
  for (const input of inputs) {
    const fault = faults[input.name];
    const words = input.closest("label").querySelector(".fault") ?? make("small", { className: "fault", id: `${form.id}-${input.name}-fault` });
    words.textContent = fault ?? "";
    input.closest("label").append(words);
    input.ariaInvalid = fault ? "true" : null;
    if (fault) input.setAttribute("aria-describedby", words.id);
    else input.removeAttribute("aria-describedby");
  }
  const names = Object.keys(faults);
  inputs.find((input) => input.name in faults)?.focus();
  return !names.length || names.some((name) => !inputs.some((input) => input.name === name));
}

export function onSubmit(id, work) {
  const form = $(id);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const faulty = [...form.elements].filter((field) => field.name && !field.checkValidity());
    mark(form, Object.fromEntries(faulty.map((field) => [field.name, field.validationMessage])));
    if (!faulty.length) act(form.querySelector("button"), () => work(Object.fromEntries(new FormData(form))));
  });
}
