// What the lists of the studio page are made of.

import { act, empty, make } from "/dom.js";
import { dayOf, timeOf } from "/times.js";

export const labelOf = (item) => `${item.classTypeDisplayName}, ${dayOf(item.localStart)}, ${timeOf(item.localStart)}`;
export const lines = (...texts) => texts.filter(Boolean).map((text) => make("small", { textContent: text }));
export const list = (items, otherwise) => (items.length ? make("ul", {}, ...items) : empty(otherwise));

// Of something that begins at a time.
export function classRow(id, item, details, actions) {
  return make(
    "li", { id, tabIndex: -1 },
    make("time", { dateTime: item.startTime, textContent: timeOf(item.localStart) }),
    make("div", { className: "what" }, item.classTypeDisplayName, ...lines(...details)),
    make("div", { className: "act" }, ...actions),
  );
}

export function plainRow(id, title, details, actions = []) {
  return make(
    "li", { id, tabIndex: -1 },
    make("div", { className: "what" }, title, ...details),
    make("div", { className: "act" }, ...actions),
  );
}

// `about` says to who does not see the row what the button is about.
export function actionButton(textContent, about, work, className = "quiet") {
  const button = make("button", { type: "button", textContent, className, ariaLabel: `${textContent}: ${about}` });
  button.onclick = () => act(button, work);
  return button;
}
