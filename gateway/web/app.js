// The page: who is there, what a link from a mail asks for, and which view answers it.

import { get, once, send } from "/api.js";
import { $, act, onSubmit, say, show } from "/dom.js";
import { leavePush } from "/push.js";
import { nameOf, remember, ROLES, showStudios } from "/studio.js";

// What the link of a mail lets its reader do. Kept here alone: neither the address bar nor the history shows it.
let link = takeLink();

function takeLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  const path = location.pathname;
  if (location.hash) history.replaceState(null, "", path + location.search);
  return { token, resets: path === "/reset-password", invites: path === "/accept-invitation" };
}

// The link has done its work, or never will.
function dropLink() {
  link = {};
  history.replaceState(null, "", "/");
}

function showSignIn() {
  $("who").textContent = "";
  $("sign-out").hidden = true;
  for (const text of document.querySelectorAll(".invited")) text.hidden = !link.invites;
  show("sign-in");
}

async function start() {
  if ((link.resets || link.invites) && !link.token) {
    dropLink();
    say("Please open the link in your mail again.", true);
  }
  if (link.resets) return show("reset");
  let person;
  try {
    person = await get("accounts/me");
  } catch (error) {
    if (!error.signedOut) throw error;
    return showSignIn();
  }
  // The API reference asks who is there only when somebody may be.
  localStorage.setItem("signed-in", "1");
  $("sign-out").hidden = false;
  $("who").textContent = person.account.displayName;
  if (!link.invites) return showStudios(person);
  $("invitee").textContent = person.account.email;
  show("invitation");
}

// Loads everything again; a failure leaves a button to try once more.
async function load() {
  try {
    await start();
  } catch (error) {
    show("broken");
    throw error;
  }
}

onSubmit("sign-in", async (fields) => {
  await send("accounts:signIn", fields);
  $("sign-in").reset();
  await load();
});
onSubmit("sign-up", async (fields) => {
  await send("accounts:signUp", fields);
  $("sign-up").reset();
  await load();
});
onSubmit("forgot", async (fields) => {
  await send("accounts:requestPasswordReset", fields);
  $("forgot").reset();
  showSignIn();
  say("If there is an account with this address, a link is on its way to it. It works for one hour.");
});
onSubmit("reset", async ({ newPassword }) => {
  try {
    await send("accounts:resetPassword", { token: link.token, newPassword });
  } catch (error) {
    if (error.reason === "LINK_EXPIRED") {
      dropLink();
      show("forgot");
    }
    throw error;
  }
  $("reset").reset();
  dropLink();
  showSignIn();
  say("Your new password is set. Sign in with it.");
});
onSubmit("invitation", async () => {
  let binding;
  try {
    binding = await once("invitations:accept", { token: link.token });
  } catch (error) {
    if (error.reason === "LINK_EXPIRED") {
      dropLink();
      await load();
    }
    throw error;
  }
  dropLink();
  const studio = binding.name.split("/roleBindings/")[0];
  remember(studio);
  await load();
  say(`Welcome to ${nameOf(studio) ?? "the studio"}. Your role there: ${ROLES[binding.role]}.`);
});

async function signOut() {
  await leavePush();
  await send("accounts/me:signOut");
  showSignIn();
}

for (const id of ["sign-out", "other-account"]) $(id).addEventListener("click", (event) => act(event.target, signOut));
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => {
    say("");
    show(button.dataset.view);
  });
}
$("again").addEventListener("click", (event) => act(event.target, load));
$("notice-close").addEventListener("click", () => say(""));
document.addEventListener("signed-out", showSignIn);
// The mail's link opened where the page is already.
window.addEventListener("hashchange", () => {
  link = takeLink();
  act($("again"), load);
});
// Come back to by the browser's own button, it shows what is so now.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
act($("again"), load);
