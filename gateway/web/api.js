// Calls of the API under /v1: what each one carries, and what a refusal means in words.

// Milliseconds without an answer after which nobody waits any longer, and after which the wait is shown.
const PATIENCE = 20_000;
const SLOW = 300;
const WORDS = {
  ALREADY_BOOKED: "You are booked for this class already.",
  ALREADY_MEMBER: "You have this membership already.",
  BOOKING_CLOSED: "Booking for this class has closed.",
  BOOKING_NOT_ACTIVE: "This booking is cancelled already.",
  BOOKING_NOT_OPEN: "Booking for this class has not opened yet.",
  CARD_IN_USE: "A membership is paid with this card. Choose another card for that first, or replace this one.",
  CHANGE_PENDING: "Another change begins with the next interval. Take that back first.",
  CHANGE_REFUSED: "This is not possible just now. Please ask your studio.",
  CLIENT_EMAIL_TAKEN: "The studio knows your e-mail address already. Ask it to link your account to that client.",
  CLIENT_REQUIRED: "Join the studio before you book.",
  DROP_IN_NOT_OFFERED: "This class cannot be paid by itself.",
  EMAIL_TAKEN: "There is an account with this address already. Sign in instead.",
  ETAG_MISMATCH: "It was changed meanwhile. Look at it again, then try again.",
  GIFT_CARD_EXPIRED: "This gift card has expired.",
  GIFT_CARD_UNKNOWN: "There is no such gift card.",
  GIFT_CARD_USED_UP: "Nothing is left on this gift card.",
  INTERVAL_DIFFERS: "This plan is paid for another length of time. Cancel the one and join the other.",
  INTRO_OFFER_USED: "This is for new clients only.",
  INVALID_EMAIL: "This is not an e-mail address.",
  LETTER_LEFT: "It has been sent already.",
  LINK_EXPIRED: "This link was used, withdrawn or has expired.",
  MEMBERSHIP_ENDED: "This membership has ended.",
  MERCHANT_NOT_ACTIVE: "The studio cannot be paid here yet. Please ask it.",
  NO_CREDIT: "You have no credit for this class. Buy a class pack first.",
  NOT_FOUND: "This does not exist, or not any more.",
  NOT_FULFILLED: "What was paid is on its way still. Please try again in a moment.",
  NOT_PAID: "Nothing was paid that could go back.",
  PAYMENT_DECLINED: "Payment declined. Please try different card.",
  PAYMENT_REFUSED: "This payment is not possible. Please ask your studio.",
  PERMISSION_DENIED: "Your role does not allow this.",
  PREVIEW_OUTDATED: "It is another amount now. Look at it again, then go on.",
  PRICE_CHANGED: "The price is another one now. Look at it again, then go on.",
  PROMO_CODE_EXPIRED: "This code has expired.",
  PROMO_CODE_NOT_FOR_THIS: "This code is not for this.",
  PROMO_CODE_UNKNOWN: "There is no such code.",
  PROMO_CODE_USED_UP: "This code is used up.",
  PROVIDER_AWAY: "Payments are not possible at this moment. Please try again soon.",
  RESUME_TIME_PAST: "Choose a day that is still to come.",
  SESSION_CANCELLED: "This class is cancelled.",
  SESSION_FULL: "The last place was just taken.",
  SESSION_NOT_KNOWN_YET: "This class is not open yet. Try again in a moment.",
  SESSION_STARTED: "This class has begun.",
  SPOT_TAKEN: "Somebody has just taken this spot. Choose another.",
  TOO_MANY_ATTEMPTS: "Too many attempts.",
  TOO_MANY_LETTERS: "This gift card was sent often enough. Show its code and pass that on.",
  UNKNOWN_PUSH_SERVICE: "Messages cannot be brought to this kind of browser yet.",
  WEAK_PASSWORD: "This password is too easy to guess. Choose another.",
  WRONG_CREDENTIALS: "E-mail or password is wrong.",
};
const FIELD = {
  EMAIL_TAKEN: "email",
  GIFT_CARD_EXPIRED: "giftCardCode",
  GIFT_CARD_UNKNOWN: "giftCardCode",
  GIFT_CARD_USED_UP: "giftCardCode",
  PROMO_CODE_EXPIRED: "code",
  PROMO_CODE_NOT_FOR_THIS: "code",
  PROMO_CODE_UNKNOWN: "code",
  PROMO_CODE_USED_UP: "code",
};
const SIGNED_OUT = ["NOT_SIGNED_IN", "SESSION_EXPIRED"];

let csrf = "";
// Milliseconds that the server's clock is ahead of this device's.
let ahead = 0;
let running = 0;
let slow;
// Intended write → its key, until it is answered: whoever tries again after silence means the same one.
const keys = new Map();

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1).replace(/([^.!?])$/, "$1.");
const camel = (path) => path.split(".").pop().replace(/_(.)/g, (_, letter) => letter.toUpperCase());

export class Refused extends Error {
  // `fields`: name of the input → what is wrong with it. `metadata`: what else the refusal names.
  constructor(message, { status = 0, reason = "", fields = {}, metadata = {} } = {}) {
    super(message);
    Object.assign(this, { status, reason, fields, metadata });
  }

  get signedOut() {
    return SIGNED_OUT.includes(this.reason);
  }
}

function refusal(answer, error) {
  const { reason = "", metadata } = error?.details?.find((detail) => detail.reason) ?? {};
  const violations = error?.details?.flatMap((detail) => detail.fieldViolations ?? []) ?? [];
  const wait = Number(answer.headers.get("Retry-After"));
  let message = WORDS[reason] ?? (answer.status < 500 && error ? sentence(error.message) : "Something went wrong. Please try again.");
  if (reason === "TOO_MANY_ATTEMPTS" && wait) message += ` Try again in ${wait < 90 ? `${wait} seconds` : `${Math.ceil(wait / 60)} minutes`}.`;
  const fields = Object.fromEntries(violations.map(({ field, description }) => [camel(field), WORDS[reason] ?? sentence(description)]));
  if (reason in FIELD) fields[FIELD[reason]] = message;
  return new Refused(message, { status: answer.status, reason, fields, metadata });
}

function waiting(change) {
  running += change;
  clearTimeout(slow);
  const bar = document.getElementById("busy");
  if (!running) bar.hidden = true;
  else slow = setTimeout(() => (bar.hidden = false), SLOW);
}

async function call(method, path, { body, headers = {} } = {}) {
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  waiting(+1);
  try {
    answer = await fetch(`/v1/${path}`, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE) });
    csrf = answer.headers.get("X-CSRF-Token") ?? csrf;
    ahead = Date.parse(answer.headers.get("Date")) - Date.now() || ahead;
    const document = await answer.json().catch(() => null);
    if (!answer.ok) throw refusal(answer, document?.error);
    return document;
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(error.name === "TimeoutError" ? "No answer yet. Please try again." : "No connection. Please try again.");
  } finally {
    waiting(-1);
  }
}

// What the server's clock says now.
export const now = () => new Date(Date.now() + ahead);

export const get = (path) => call("GET", path);

// A call that may be repeated without harm: signing in and out, passwords.
export const send = (path, body) => call("POST", path, { body, headers: { "X-CSRF-Token": csrf } });

// A write that must happen at most once, however often its button is pressed.
export async function once(path, body, method = "POST") {
  const intent = `${method} ${path} ${JSON.stringify(body)}`;
  if (!keys.has(intent)) keys.set(intent, crypto.randomUUID());
  try {
    const document = await call(method, path, { body, headers: { "X-CSRF-Token": csrf, "Idempotency-Key": keys.get(intent) } });
    // An answer also ends what had none before: the page has shown since whether it happened.
    keys.clear();
    return document;
  } catch (error) {
    // After silence or a failure of the server nobody knows whether it happened, so the key stays.
    if (error.status >= 400 && error.status < 499) keys.delete(intent);
    throw error;
  }
}

export async function all(path, field, query = {}) {
  const items = [];
  let pageToken = "";
  do {
    const page = await get(`${path}?${new URLSearchParams({ ...query, pageSize: 200, pageToken })}`);
    items.push(...page[field]);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return items;
}
