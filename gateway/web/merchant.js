// A studio as a merchant: whether clients can pay it, what is missing for that, and whether its books agree with the bank.

import { all, get, now, send } from "/api.js";
import { changed } from "/changes.js";
import { $, empty, make, onSubmit, say } from "/dom.js";
import { money } from "/money.js";
import { actionButton, lines, list, plainRow } from "/rows.js";
import { dateOf, momentOf } from "/times.js";

const MAY_SEE = ["ROLE_OWNER", "ROLE_MANAGER"];
const STATES = {
  ONBOARDING: "Clients cannot pay yet.",
  ACTIVE: "Clients can pay.",
  RESTRICTED: "Clients cannot pay any more.",
};
const WALLETS = { apple_pay: "Apple Pay", google_pay: "Google Pay" };
const DIFFERENCES = {
  CHARGE_UNKNOWN: "A charge that is of no purchase",
  CHARGE_MISSING: "A purchase that was paid, without a charge",
  CHARGE_AMOUNT: "A charge of another amount than its purchase",
  REFUND_UNKNOWN: "A refund that was not made here",
  REFUND_MISSING: "A refund that the provider does not have",
  FOREIGN_CURRENCY: "Money in another currency",
  TRANSACTION_UNKNOWN: "A transaction of an unknown type",
};
const CLOSED = ["won", "lost", "warning_closed"];
// Where the payment provider opens accounts: stripe.com/global.
const COUNTRIES = [..."AE AT AU BE BG BR CA CH CY CZ DE DK EE ES FI FR GB GI GR HK HR HU IE IT JP LI LT LU LV MT MX MY NL NO NZ PL PT RO SE SG SI SK TH US".split(" ")];

let studio;

// Clients see none of it.
export async function showMerchant(chosen, roles) {
  const mine = MAY_SEE.some((role) => roles.includes(role));
  $("merchant").hidden = !mine;
  if (!mine) return;
  studio = chosen;
  const owns = roles.includes("ROLE_OWNER");
  const account = await orNone(`${studio.name}/merchantAccount`);
  $("open-account").hidden = Boolean(account) || !owns;
  $("account-currency").textContent = studio.currencyCode;
  if (!account) return $("merchant-account").replaceChildren(empty(owns ? "" : "The owner has not opened an account for payments yet."));
  const [books, payouts, disputes] = await Promise.all([
    get(`${studio.name}/reconciliation`),
    owns ? get(`${studio.name}/payouts?pageSize=5`).then((page) => page.payouts) : [],
    all(`${studio.name}/disputes`, "disputes"),
  ]);
  $("merchant-account").replaceChildren(
    accountCard(account, owns),
    booksCard(books),
    ...disputes.filter(({ status }) => !CLOSED.includes(status)).map(disputeCard),
    ...(owns ? [make("h3", { textContent: "To your bank" }), list(payouts.map(payoutRow), "Nothing yet.")] : []),
  );
}

const orNone = (path) => get(path).catch((error) => {
  if (error.status !== 404) throw error;
});

function accountCard(account, owns) {
  const wallets = account.wallets.map((wallet) => WALLETS[wallet] ?? wallet);
  const missing = account.requirements.map((word) => word.replace(/[._]/g, " "));
  const onboard = actionButton(account.state === "ONBOARDING" ? "Tell what is missing" : "Answer the provider", "the account for payments", async () => {
    const { url } = await send(`${account.name}:onboard`, {});
    location.assign(url);
  }, "");
  return make(
    "div", { className: "card", id: "account", tabIndex: -1 },
    make("strong", { textContent: STATES[account.state] }),
    ...lines(
      `Account in ${account.currencyCode}${account.externalAccount ? ` · ${account.externalAccount}` : ""}`,
      missing.length && `The payment provider still asks for: ${missing.join(", ")}.`,
      account.chargesEnabled && !account.payoutsEnabled && "It pays nothing out to your bank yet.",
      account.chargesEnabled && (wallets.length ? `Cards, ${wallets.join(", ")}` : "Cards; no wallets on this address."),
    ),
    ...(owns && account.externalAccount && missing.length ? [make("p", {}, onboard)] : []),
  );
}

function booksCard(books) {
  if (!books.runTime) return make("div", { className: "card" }, ...lines("The books are compared with the provider every ten minutes; not yet."));
  const amount = (minor) => money(minor, books.currencyCode);
  const agrees = books.differenceMinor === "0" && !books.differences.length;
  return make(
    "div", { className: agrees ? "card" : "card bad" },
    make("strong", { textContent: agrees ? "The books and the provider agree to the cent." : `The books and the provider differ by ${amount(books.differenceMinor)}.` }),
    ...lines(
      `${books.transactionCount} ${books.transactionCount === 1 ? "transaction" : "transactions"} · ${amount(books.providerMinor)} at the provider · compared ${momentOf(books.runTime, studio.timeZone)}`,
      Number(books.underWayMinor) && `${amount(books.underWayMinor)} of the last hour is under way.`,
      ...books.differences.map(({ kind, subject, amountMinor }) => `${DIFFERENCES[kind] ?? kind}: ${subject}, ${amount(amountMinor)}`),
    ),
  );
}

function disputeCard(dispute) {
  const due = dispute.dueTime && `Answer it at the provider until ${momentOf(dispute.dueTime, studio.timeZone)}.`;
  return make(
    "div", { className: "card bad" },
    make("strong", { textContent: `A client's bank disputes ${money(dispute.amountMinor, dispute.currencyCode)}` }),
    ...lines(`${dispute.reason.replaceAll("_", " ")} · ${dispute.status.replaceAll("_", " ")}`, due),
  );
}

function payoutRow(payout) {
  const arrives = new Date(payout.arrivalTime) > now() ? "arrives" : "arrived";
  const when = payout.status === "failed" ? "failed: your bank sent it back" : `${arrives} ${dateOf(payout.arrivalTime, studio.timeZone)}`;
  return plainRow(payout.name, money(payout.amountMinor, payout.currencyCode), lines(when));
}

const names = new Intl.DisplayNames(["en"], { type: "region" });
const countries = COUNTRIES.map((value) => make("option", { value, textContent: names.of(value) }));
$("country").append(...countries.sort((one, other) => one.text.localeCompare(other.text)));
onSubmit("open-account", async ({ countryCode }) => {
  await changed(send(`${studio.name}/merchantAccount:open`, { countryCode, currencyCode: studio.currencyCode }));
  say("The account is there. The payment provider wants to know some things before clients can pay.");
});
