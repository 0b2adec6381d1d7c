"use strict";
const EVERY_MS = 2000;
const element = (id) => document.getElementById(id);
const made = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
let messages = [];
let chosen = null;

async function fetchMessages(limit) {
  const answer = await fetch(`/sandbox/messages?limit=${limit}`);
  if (!answer.ok) throw new Error(`answered ${answer.status}`);
  return (await answer.json()).messages;
}

async function refresh() {
  try {
    const [newest] = await fetchMessages(1);
    if (!newest || newest.id !== messages[0]?.id || newest.accepted_count !== messages[0].accepted_count) {
      messages = newest ? await fetchMessages(200) : [];
    }
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
  const shown = messages.filter((mail) => `${mail.to.join(" ")} ${mail.subject}`.toLowerCase().includes(wanted));
  const focused = document.activeElement?.dataset?.id;
  element("list").replaceChildren(...shown.map(row));
  if (focused) element("list").querySelector(`[data-id="${focused}"]`)?.focus();
  element("empty").hidden = shown.length > 0;
  element("empty-text").textContent = messages.length
    ? "No message matches the filter."
    : "No mail yet. Book a class, and its confirmation appears here by itself.";
  element("choose").hidden = chosen !== null || messages.length === 0;
  const count = shown.length === 1 ? "1 message" : `${shown.length} messages`;
  if (element("state").textContent !== count) element("state").textContent = count;
}

function row(mail) {
  const button = made("button", "", "");
  button.type = "button";
  button.dataset.id = mail.id;
  if (mail.id === chosen) button.setAttribute("aria-current", "true");
  const line = made("div", "line", "");
  const time = made("time", "", ago(mail.create_time));
  time.dateTime = mail.create_time;
  line.append(made("span", "", mail.to.join(", ")), time);
  const start = (mail.text ?? "").replace(/\s+/g, " ").slice(0, 120);
  button.append(line, made("div", "subject", mail.subject), made("div", "start", start));
  if (mail.accepted_count > 1) button.append(made("div", "twice", `accepted ${mail.accepted_count} times`));
  button.addEventListener("click", () => { location.hash = mail.id; });
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function open() {
  const mail = messages.find((one) => one.id === location.hash.slice(1));
  chosen = mail?.id ?? null;
  element("mail").hidden = !mail;
  document.body.classList.toggle("reading", Boolean(mail));
  drawList();
  if (!mail) return;
  element("subject").textContent = mail.subject;
  const facts = [
    ["From", mail.from], ["To", mail.to.join(", ")], ["Cc", mail.cc.join(", ")], ["Bcc", mail.bcc.join(", ")],
    ["Reply to", mail.reply_to.join(", ")], ["Accepted", new Date(mail.create_time).toLocaleString()],
  ];
  element("facts").replaceChildren(...facts.filter(([, value]) => value).flatMap(([name, value]) =>
    [made("dt", "", name), made("dd", "", value)]));
  element("html").srcdoc = `<base target="_blank">${mail.html ?? ""}`;
  element("text").textContent = mail.text ?? "";
  const { html, text, ...details } = mail;
  element("details").textContent = JSON.stringify(details, null, 2);
  element("tab-html").disabled = !mail.html;
  element("tab-text").disabled = !mail.text;
  select(mail.html ? "html" : "text");
  element("mail").focus({ preventScroll: true });
}

function select(name) {
  for (const one of ["html", "text", "details"]) {
    element(`tab-${one}`).setAttribute("aria-selected", String(one === name));
    element(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    element(one).hidden = one !== name;
  }
}

for (const name of ["html", "text", "details"]) element(`tab-${name}`).addEventListener("click", () => select(name));
document.querySelector(".tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...document.querySelectorAll(".tabs button:not(:disabled)")];
  const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
  next.focus();
  next.click();
});
element("back").addEventListener("click", () => { location.hash = ""; });
element("filter").addEventListener("input", drawList);
window.addEventListener("hashchange", open);
refresh().then(open);
