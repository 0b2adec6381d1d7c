// Who calls: a person by session, or a program by API key.

import { $ } from "./dom.js";

// The session itself is a cookie that no script can read.
const caller = { csrf: "", key: "", name: "" };
// Set while a page of ours believes that there is a session, so that strangers are not asked for one.
const HINT = "signed-in";
// Told the id of a studio in which the caller has a role.
let studioKnown = () => {};

export async function call(method, path, { headers = {}, body, signal } = {}) {
  const all = { ...headers };
  if (caller.key) all.Authorization = `Bearer ${caller.key}`;
  else if (method !== "GET" && caller.csrf) all["X-CSRF-Token"] = caller.csrf;
  if (body !== undefined) all["Content-Type"] = body instanceof Blob ? body.type || "application/octet-stream" : "application/json";
  const answer = await fetch(path, { method, headers: all, body, signal, credentials: caller.key ? "omit" : "same-origin" });
  if (!caller.key) noticeSession(answer);
  return answer;
}

// Each answer to a session brings the token that its writes need.
function noticeSession(answer) {
  const token = answer.headers.get("X-CSRF-Token");
  caller.csrf = token ?? caller.csrf;
  if (token) localStorage.setItem(HINT, "1");
  else if (answer.status === 401) localStorage.removeItem(HINT);
}

export async function recallSession() {
  if (!localStorage.getItem(HINT)) return show(null);
  const answer = await call("GET", "/v1/accounts/me");
  show(answer.ok ? await answer.json() : null);
}

function show(me) {
  caller.name = caller.key ? "API key" : me?.account?.displayName ?? "";
  $("#who").textContent = caller.name || "Sign in";
  $("#sign-out").hidden = !caller.name;
  const studio = me?.roleBindings?.[0]?.name.split("/")[1];
  if (studio) studioKnown(studio);
}

export function openSignIn() {
  $("#sign-in-error").textContent = "";
  $("#sign-in").showModal();
}

export function wireSignIn(onStudio) {
  studioKnown = onStudio;
  $("#who").addEventListener("click", openSignIn);
  $("#sign-in-close").addEventListener("click", () => $("#sign-in").close());
  $("#session-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    caller.key = "";
    const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
    const answer = await call("POST", "/v1/accounts:signIn", { body });
    if (!answer.ok) {
      $("#sign-in-error").textContent = (await answer.json()).error.message;
      return;
    }
    event.target.reset();
    $("#sign-in").close();
    await recallSession();
  });
  $("#key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    caller.key = new FormData(event.target).get("key").trim();
    event.target.reset();
    $("#sign-in").close();
    show(null);
  });
  $("#sign-out").addEventListener("click", async () => {
    if (caller.key) caller.key = "";
    else if ((await call("POST", "/v1/accounts/me:signOut", { body: "{}" })).ok) localStorage.removeItem(HINT);
    $("#sign-in").close();
    await recallSession();
  });
}
