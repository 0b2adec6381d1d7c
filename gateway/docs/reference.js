// The page: contents on one side, one operation or schema on the other. The address after `#` says which.

import { $, copyButton, el, inline, prose } from "./dom.js";
import { fields, parameterRow, schemaView, typeOf, useSchemas } from "./schema.js";
import { recallSession, wireSignIn } from "./session.js";
import { form, rememberStudio } from "./trial.js";

let spec;
// Enter was pressed while the contract was on its way.
let entered = false;
// operationId → {method, path, operation}
const operations = new Map();

const badge = (method) => el(`span.method.${method}`, {}, method.toUpperCase());

function contents() {
  const groups = spec.tags.map((tag) => el("section", {}, el("h2", {}, tag.name), el("ul", {},
    [...operations].filter(([, each]) => each.operation.tags.includes(tag.name)).map(([id, { method, path, operation }]) =>
      entry(`#${id}`, [badge(method), el("span", {}, id)], `${id} ${method} ${path} ${tag.name} ${operation.description}`)))));
  const schemas = el("section", {}, el("h2", {}, "Schemas"), el("ul", {},
    Object.keys(spec.components.schemas).map((name) => entry(`#schema:${name}`, [name], `schema ${name}`))));
  $("#contents").replaceChildren(...groups, schemas, el("p.nothing", { hidden: true }, "Nothing found."));
}

function entry(address, label, words) {
  const item = el("li", {}, el("a", { href: address }, label));
  item.dataset.words = words.toLowerCase();
  return item;
}

function search() {
  if (!spec) return;
  const words = $("#search").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const item of document.querySelectorAll("#contents li")) {
    item.hidden = !words.every((word) => item.dataset.words.includes(word));
  }
  for (const section of document.querySelectorAll("#contents section")) {
    section.hidden = !section.querySelector("li:not([hidden])");
  }
  $("#contents .nothing").hidden = Boolean($("#contents li:not([hidden])"));
  toggleContents(words.length > 0);
}

// What bears the name goes before what only speaks of it.
function openFound() {
  const links = [...document.querySelectorAll("#contents li:not([hidden]) a")];
  const wanted = $("#search").value.trim().toLowerCase();
  (links.find((link) => link.hash.slice(1).toLowerCase().startsWith(wanted)) ?? links[0])?.click();
}

function toggleContents(open) {
  document.body.classList.toggle("open", open);
  $("#contents-toggle").setAttribute("aria-expanded", String(open));
}

function route() {
  const address = decodeURIComponent(location.hash.slice(1));
  if (address === "main") return;
  const found = operations.get(address);
  const view = found ? operationView(address, found) : address.startsWith("schema:") ? schemaView(address.slice(7)) : welcome();
  $("#main").replaceChildren(view);
  document.title = address ? `${address.replace("schema:", "")} · Powerhouse API` : "Powerhouse API";
  for (const link of document.querySelectorAll("#contents a")) {
    const here = link.getAttribute("href") === location.hash;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here) link.scrollIntoView({ block: "nearest" });
  }
  toggleContents(false);
  scrollTo(0, 0);
  $("#main").focus({ preventScroll: true });
}

function welcome() {
  return el("article", {}, el("h1", {}, spec.info.title), prose(spec.info.description),
    spec.tags.map((tag) => [el("h2", {}, tag.name), prose(tag.description)]).flat(),
    el("p", {}, "The whole contract as OpenAPI: ", el("a", { href: "/openapi.json" }, "/openapi.json"), "."));
}

function operationView(id, { method, path, operation }) {
  const body = operation.requestBody?.content["application/json"];
  return el("article", {},
    el("h1", {}, id),
    el("p.path", {}, badge(method), el("code", {}, path), copyButton("Copy", () => path)),
    prose(operation.description),
    el("p.soft", {}, signing(operation)),
    el("div.columns", {},
      el("div", {},
        operation.parameters.length ? [el("h2", {}, "Parameters"), el("ul.fields", {}, operation.parameters.map(parameterRow))] : "",
        body ? [el("h2", {}, "Body ", el("small", {}, typeOf(body.schema))), fields(body.schema)] : "",
        el("h2", {}, "Answers"), Object.entries(operation.responses).map(([status, answer]) => answerView(status, answer))),
      el("section.try", {}, el("h2", {}, "Try it"), form(method.toUpperCase(), path, operation))));
}

function signing(operation) {
  if (!operation.security.length) return "Needs no sign-in.";
  return operation.security.some((way) => "apiKey" in way) ? "By session or API key." : "By session.";
}

function answerView(status, answer) {
  const [type, media] = Object.entries(answer.content ?? {})[0] ?? [];
  const examples = media?.example !== undefined ? { Example: media.example } : Object.fromEntries(
    Object.entries(media?.examples ?? {}).map(([name]) => [name, spec.components.examples[name].value]));
  const isError = status !== "200";
  return el("details.answer", { open: !isError },
    el("summary", {}, el("span.code", {}, status === "default" ? "else" : status), inline(answer.description.split("\n")[0])),
    isError ? prose(answer.description.split("\n").slice(1).join("\n")) : "",
    media?.schema && !isError ? [el("h3", {}, typeOf(media.schema), ` as ${type}`), fields(media.schema, { answer: true })] : "",
    Object.entries(examples).map(([name, value]) => el("details", {}, el("summary", {}, name), el("pre", { tabindex: "0" }, JSON.stringify(value, null, 2)))));
}

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      // Selected, so that the next search replaces the last one.
      $("#search").focus();
      $("#search").select();
    }
    const inContents = event.target === $("#search") || event.target.closest?.("#contents");
    if (!inContents) return;
    const links = [...document.querySelectorAll("#contents li:not([hidden]) a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      (next < 0 ? $("#search") : links[Math.min(next, links.length - 1)])?.focus();
    } else if (event.key === "Enter" && event.target === $("#search")) {
      entered = !spec;
      openFound();
    } else if (event.key === "Escape") {
      $("#search").value = "";
      search();
      $("#main").focus();
    }
  });
}

// Before the contract is there: a click on what stands there already is not lost.
function wire() {
  wireSignIn(rememberStudio);
  wireKeys();
  $("#search").addEventListener("input", search);
  $("#contents-toggle").addEventListener("click", () => toggleContents(!document.body.classList.contains("open")));
}

async function start() {
  spec = await (await fetch("/openapi.json")).json();
  useSchemas(spec.components.schemas);
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(methods)) operations.set(operation.operationId, { method, path, operation });
  }
  contents();
  addEventListener("hashchange", route);
  const searching = document.activeElement === $("#search");
  route();
  if (searching) $("#search").focus();
  search();
  if (entered) openFound();
  await recallSession();
}

wire();
start().catch((error) => {
  $("#main").replaceChildren(el("p", { role: "alert" }, `The contract could not be loaded: ${error.message}`));
});
