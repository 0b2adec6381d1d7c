// Trying a call: a form for its parts, the answer as it comes, the same call as curl.

import { copyButton, el } from "./dom.js";
import { call, openSignIn, recallSession } from "./session.js";

// Values that a form took before, by the parameter's name, so that an id is typed once.
const remembered = JSON.parse(sessionStorage.getItem("parameters") ?? "{}");

export function form(method, path, operation) {
  const parameters = operation.parameters;
  const example = operation.requestBody?.content["application/json"]?.example;
  const editor = example === undefined ? null
    : el("textarea", { name: "body", rows: Math.min(16, Math.max(6, JSON.stringify(example, null, 2).split("\n").length + 3)), spellcheck: "false" });
  if (editor) {
    editor.value = JSON.stringify(example, null, 2);
    // An example speaks of a studio that is not there; names in it may as well begin with the caller's.
    editor.dataset.studio = parameters.find((each) => each.name === "studio")?.example ?? "";
    nameStudio(editor);
  }
  // A body of bytes is a file of the caller's.
  const upload = operation.requestBody?.content["*/*"] ? el("input", { type: "file", name: "file", required: true }) : null;
  const changesSession = "Set-Cookie" in (operation.responses["200"].headers ?? {});
  const output = el("div", { "aria-live": "polite" });
  const stop = el("button.quiet", { type: "button", hidden: true }, "Stop");
  const trial = el("form.trial", {
    onsubmit: (event) => {
      event.preventDefault();
      send(request(), output, stop).finally(() => {
        refreshKey(trial);
        if (changesSession) recallSession();
      });
    },
    onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) trial.requestSubmit();
    },
  },
  parameters.map((parameter) => el("label", {},
    el("span", {}, parameter.name, parameter.required ? el("span.required", {}, "required") : ""),
    el("input", {
      name: `${parameter.in}:${parameter.name}`,
      required: parameter.required,
      placeholder: parameter.example === undefined ? "" : String(parameter.example),
      value: startValue(parameter),
      autocomplete: "off",
      spellcheck: "false",
    }))),
  editor ?? upload ? el("label", {}, el("span", {}, "Body"), editor ?? upload) : "",
  el("p.row", {}, el("button", { "aria-keyshortcuts": "Control+Enter" }, "Send"), stop, copyButton("Copy as curl", () => curl(request(), operation))),
  output);

  function request() {
    const filled = (kind) => parameters.filter((each) => each.in === kind)
      .map((each) => [each.name, trial.elements[`${kind}:${each.name}`].value]).filter(([, value]) => value !== "");
    for (const [name, value] of filled("path")) remembered[name] = value;
    sessionStorage.setItem("parameters", JSON.stringify(remembered));
    const values = Object.fromEntries(filled("path"));
    const target = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name] ?? ""));
    const query = new URLSearchParams(filled("query")).toString();
    return { method, target: query ? `${target}?${query}` : target, headers: Object.fromEntries(filled("header")), body: editor?.value ?? upload?.files[0] };
  }
  return trial;
}

// Fills in the studio where nobody has typed another.
export function rememberStudio(studio) {
  remembered.studio ??= studio;
  for (const input of document.querySelectorAll('[name="path:studio"]')) input.value ||= remembered.studio;
  for (const editor of document.querySelectorAll("textarea[data-studio]")) nameStudio(editor);
}

function nameStudio(editor) {
  if (editor.dataset.studio && remembered.studio) editor.value = editor.value.replaceAll(editor.dataset.studio, remembered.studio);
}

function startValue(parameter) {
  if (parameter.name === "Idempotency-Key") return newKey();
  return parameter.in === "path" ? remembered[parameter.name] ?? "" : "";
}

// Each thing to do has a key of its own; a form that was sent is about to do the next thing.
function refreshKey(trial) {
  const input = trial.elements["header:Idempotency-Key"];
  if (input) input.value = newKey();
}

// randomUUID is there on https and localhost only; getRandomValues everywhere.
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function send({ method, target, headers, body }, output, stop) {
  const abort = new AbortController();
  const text = el("pre", { tabindex: "0" });
  const status = el("p.status", {}, "Waiting …");
  output.replaceChildren(status);
  stop.hidden = false;
  stop.onclick = () => abort.abort();
  const started = performance.now();
  try {
    const answer = await call(method, target, { headers, body, signal: abort.signal });
    const took = () => `${Math.round(performance.now() - started)} ms`;
    status.className = `status ${answer.ok ? "good" : "bad"}`;
    status.textContent = `${answer.status} ${answer.statusText} · ${took()}`;
    output.append(text, headerList(answer.headers));
    if (answer.ok && /^image\//.test(answer.headers.get("Content-Type"))) text.replaceWith(await picture(answer));
    else await write(answer, text);
    status.textContent = `${answer.status} ${answer.statusText} · ${took()}`;
    if (answer.status === 401) output.append(el("p", {}, el("button", { type: "button", onclick: openSignIn }, "Sign in")));
  } catch (error) {
    status.className = "status bad";
    status.textContent = abort.signal.aborted ? "Stopped" : `No answer: ${error.message}`;
  } finally {
    stop.hidden = true;
  }
}

// As it comes: a stream shows each message when it is there.
async function write(answer, text) {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader.read()) text.append(part.value);
  text.textContent = pretty(text.textContent) || "(no body)";
}

// By a data URL, since the page's policy allows no other that is not the server's.
async function picture(answer) {
  const blob = await answer.blob();
  const source = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(blob);
  });
  return el("img.answered", { src: source, alt: `${blob.type}, ${blob.size} bytes` });
}

function headerList(headers) {
  const lines = [...headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return el("details", {}, el("summary", {}, "Headers"), el("pre", { tabindex: "0" }, lines));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function curl({ method, target, headers, body }, operation) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const parts = [`curl -X ${method} ${quoted(location.origin + target)}`];
  if (operation.security.some((way) => "apiKey" in way)) parts.push('-H "Authorization: Bearer $API_KEY"');
  else parts.push("-b cookies -c cookies");
  if (!operation.security.some((way) => "apiKey" in way) && operation.security.some((way) => "csrf" in way)) parts.push('-H "X-CSRF-Token: $CSRF_TOKEN"');
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body instanceof Blob) parts.push(`-H ${quoted(`Content-Type: ${body.type}`)}`, `--data-binary ${quoted(`@${body.name}`)}`);
  else if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(body)}`);
  return parts.join(" \\\n  ");
}
