"use strict";
const EVERY_MS = 2000;
const TABS = ["html", "phone", "text", "details"];
const element = (id) => document.getElementById(id);
const made = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
const CHANNELS = { email: "Mail", sms: "SMS", push: "Push" };
// What each provider can tell by webhook.
const EVENTS = {
  resend: ["delivered", "delayed", "bounced", "complained", "failed"],
  sendgrid: ["delivered", "delayed", "bounced", "complained", "failed"],
  twilio: ["sent", "delivered", "bounced", "failed"],
};
let messages = [];
let chosen = null;
let channel = "";

async function fetchMessages(limit) {
  const answer = await fetch(`/sandbox/messages?limit=${limit}`);
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return (await answer.json()).messages;
}

async function refresh() {
  try {
    const [newest] = await fetchMessages(1);
    const [known] = messages;
    if (JSON.stringify(newest) !== JSON.stringify(known)) messages = newest ? await fetchMessages(200) : [];
    drawList();
  } catch {
    element("state").textContent = "not reachable";
  }
  setTimeout(refresh, document.hidden ? EVERY_MS * 5 : EVERY_MS);
}

function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(time).toLocaleDateString();
}

function drawList() {
  const wanted = element("filter").value.trim().toLowerCase();
  const shown = messages.filter((one) => (!channel || one.channel === channel)
    && `${one.to.join(" ")} ${one.subject} ${one.channel === "email" ? "" : one.text}`.toLowerCase().includes(wanted));
  const focused = document.activeElement?.dataset?.id;
  element("list").replaceChildren(...shown.map(row));
  if (focused) element("list").querySelector(`[data-id="${focused}"]`)?.focus();
  element("empty").hidden = shown.length > 0;
  element("empty-text").textContent = messages.length
    ? "No message matches the filter."
    : "No message yet. Book a class, and its confirmation appears here by itself.";
  element("choose").hidden = chosen !== null || messages.length === 0;
  const count = shown.length === 1 ? "1 message" : `${shown.length} messages`;
  if (element("state").textContent !== count) element("state").textContent = count;
}

function row(message) {
  const button = made("button", "", "");
  button.type = "button";
  button.dataset.id = message.id;
  if (message.id === chosen) button.setAttribute("aria-current", "true");
  const line = made("div", "line", "");
  const to = made("span", "", "");
  to.append(made("span", "channel", CHANNELS[message.channel]), message.to.join(", "));
  const time = made("time", "", ago(message.create_time));
  time.dateTime = message.create_time;
  line.append(to, time);
  const start = (message.text ?? "").replace(/\s+/g, " ").slice(0, 120);
  button.append(line);
  if (message.subject) button.append(made("div", "subject", message.subject));
  button.append(made("div", "start", start), made("div", "status", `${message.provider} · ${message.status}`));
  if (message.accepted_count > 1) button.append(made("div", "twice", `accepted ${message.accepted_count} times`));
  button.addEventListener("click", () => { location.hash = message.id; });
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function open() {
  const message = messages.find((one) => one.id === location.hash.slice(1));
  chosen = message?.id ?? null;
  element("message").hidden = !message;
  document.body.classList.toggle("reading", Boolean(message));
  drawList();
  if (!message) return;
  element("subject").textContent = message.subject || (message.channel === "sms" ? "Text message" : "Message");
  element("facts").replaceChildren(...facts(message).filter(([, value]) => value).flatMap(([name, value]) =>
    [made("dt", "", name), made("dd", "", value)]));
  element("attachments").hidden = message.attachments.length === 0;
  element("attachments").replaceChildren(...message.attachments.map(attached));
  const isMail = message.channel === "email";
  element("html").srcdoc = `<base target="_blank">${message.html ?? ""}`;
  element("phone").replaceChildren(...(isMail ? [] : [onPhone(message)]));
  element("text").textContent = message.text ?? "";
  const { html, text, ...details } = message;
  element("details").textContent = JSON.stringify(details, null, 2);
  element("tab-html").hidden = element("tab-text").hidden = !isMail;
  element("tab-phone").hidden = isMail;
  element("tab-html").disabled = !message.html;
  element("tab-text").disabled = !message.text;
  select(isMail ? (message.html ? "html" : "text") : "phone");
  const events = EVENTS[message.provider] ?? [];
  element("webhooks").hidden = events.length === 0;
  element("events").replaceChildren(...events.map((event) => tellButton(message, event)));
  element("reply").hidden = message.channel !== "sms";
  element("said").textContent = "";
  element("message").focus({ preventScroll: true });
}

function facts(message) {
  return [
    ["From", message.from], ["To", message.to.join(", ")], ["Cc", message.cc.join(", ")], ["Bcc", message.bcc.join(", ")],
    ["Reply to", message.reply_to.join(", ")], ["By", message.provider], ["Status", message.status],
    ["Accepted", new Date(message.create_time).toLocaleString()],
    ["Length", message.channel === "sms" ? `${[...message.text].length} characters` : ""],
  ];
}

function attached(file) {
  const item = document.createElement("span");
  const link = Object.assign(made("a", "", file.file_name), { href: file.path, target: "_blank", rel: "noopener" });
  item.append(link, ` ${file.media_type}, ${Math.ceil(file.size / 1024)} KB`);
  return item;
}

function onPhone(message) {
  if (message.channel === "sms") return made("div", "bubble", message.text);
  const card = made("div", "card", "");
  card.append(made("strong", "", message.subject), made("span", "", message.text));
  if (message.link) {
    const link = Object.assign(made("a", "", message.link), { target: "_blank", rel: "noopener" });
    if (/^https?:/.test(message.link)) link.href = message.link;
    card.append(document.createElement("br"), link);
  }
  return card;
}

function tellButton(message, event) {
  const button = made("button", "", event);
  button.type = "button";
  button.addEventListener("click", () => post(`/sandbox/messages/${message.id}/events`, { event }));
  return button;
}

async function post(path, body) {
  let said = "not reachable";
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
    const told = await answer.json();
    const words = new DOMParser().parseFromString(told.answer ?? "", "text/xml").querySelector("Message")?.textContent;
    said = answer.ok ? `The webhook was answered ${told.status}${words ? `: “${words}”` : "."}` : told.message;
  } catch { /* said says so */ }
  element("said").textContent = said;
  messages = await fetchMessages(200);
  drawList();
  const message = messages.find((one) => one.id === chosen);
  if (message) [...element("facts").children].find((one) => one.textContent === "Status").nextSibling.textContent = message.status;
}

function select(name) {
  for (const one of TABS) {
    element(`tab-${one}`).setAttribute("aria-selected", String(one === name));
    element(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    element(one).hidden = one !== name;
  }
}

for (const name of TABS) element(`tab-${name}`).addEventListener("click", () => select(name));
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...document.querySelectorAll(".tabs button:not(:disabled):not([hidden])")];
  const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
});
element("back").addEventListener("click", () => { location.hash = ""; });
element("filter").addEventListener("input", drawList);
for (const button of document.querySelectorAll(".channels button")) {
  button.addEventListener("click", () => {
    channel = button.dataset.channel;
    for (const one of document.querySelectorAll(".channels button")) one.setAttribute("aria-pressed", String(one === button));
    drawList();
  });
}
element("reply").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = messages.find((one) => one.id === chosen);
  const text = element("reply-text").value;
  element("reply").reset();
  post("/sandbox/inbound", { from: message.to[0], to: message.from, text });
});
window.addEventListener("hashchange", open);
refresh().then(open);
