// The page of a signed link: what its client is sent. Whoever has the link needs no signing in.

import { send, Refused } from "/api.js";
import { $, act, make, onSubmit, say, show } from "/dom.js";

const CHANNELS = ["EMAIL", "SMS", "PUSH"];
const WORDS = {
  en: {
    title: "Your messages",
    intro: "Choose what you are sent. What you switch off you can switch on here again.",
    caption: "What you want",
    kind: "Message",
    EMAIL: "E-mail",
    SMS: "SMS",
    PUSH: "Push",
    BOOKING_CONFIRMATION: "Booking confirmed",
    REMINDER: "Reminder of a class",
    WAITLIST_PROMOTED: "A place from the waitlist",
    WAITLIST_OFFER: "An offer from the waitlist",
    CLASS_CANCELLED: "Class cancelled",
    CLASS_CHANGED: "Class changed",
    DISPLACED: "Place gone",
    FEE_DUE: "A fee is due",
    RECEIPT: "Receipt",
    FEE_DECLINED: "A fee was not paid",
    MEMBERSHIP_JOINED: "Membership begun",
    MEMBERSHIP_PAST_DUE: "Membership not paid",
    MEMBERSHIP_CANCELLED: "Membership cancelled",
    MEMBERSHIP_ENDED: "Membership ended",
    MEMBERSHIP_PAUSED: "Membership paused",
    PURCHASE_RETURNED: "A paid place was gone",
    quietTitle: "Quiet hours",
    quietLabel: "No texts, push messages or reminders at night",
    quietHint: "They wait for the morning if that is early enough. Mails that answer what you do, or tell of a class that changes, come at once.",
    from: "From",
    to: "Until",
    zone: "Time zone",
    studioZone: (zone) => `As the studio (${zone})`,
    language: "Language",
    studioLanguage: "As the studio knows it",
    save: "Save",
    saved: "Saved. It holds from now on.",
    until: (date) => `This link works until ${date}.`,
    again: "Try again",
    failed: "The page could not be loaded",
    LINK_EXPIRED: ["This link has expired", "A newer message of your studio has a new one."],
    LINK_INVALID: ["This link is damaged", "Please open the one in your message again, and whole."],
    ETAG_MISMATCH: "It was changed elsewhere meanwhile. Here is how it is now.",
    sameTimes: "Start and end must differ.",
  },
  de: {
    title: "Deine Nachrichten",
    intro: "Wähle, was du bekommst. Was du abschaltest, kannst du hier wieder einschalten.",
    caption: "Was du möchtest",
    kind: "Nachricht",
    EMAIL: "E-Mail",
    SMS: "SMS",
    PUSH: "Push",
    BOOKING_CONFIRMATION: "Buchung bestätigt",
    REMINDER: "Erinnerung an einen Kurs",
    WAITLIST_PROMOTED: "Platz von der Warteliste",
    WAITLIST_OFFER: "Angebot von der Warteliste",
    CLASS_CANCELLED: "Kurs abgesagt",
    CLASS_CHANGED: "Kurs geändert",
    DISPLACED: "Platz entfallen",
    FEE_DUE: "Gebühr fällig",
    RECEIPT: "Quittung",
    FEE_DECLINED: "Gebühr nicht bezahlt",
    MEMBERSHIP_JOINED: "Mitgliedschaft begonnen",
    MEMBERSHIP_PAST_DUE: "Mitgliedschaft nicht bezahlt",
    MEMBERSHIP_CANCELLED: "Mitgliedschaft gekündigt",
    MEMBERSHIP_ENDED: "Mitgliedschaft beendet",
    MEMBERSHIP_PAUSED: "Mitgliedschaft pausiert",
    PURCHASE_RETURNED: "Bezahlter Platz war weg",
    quietTitle: "Ruhezeit",
    quietLabel: "Nachts keine SMS, kein Push und keine Erinnerungen",
    quietHint: "Sie warten bis zum Morgen, wenn das früh genug ist. E-Mails, die auf dein Handeln antworten oder von einer Kursänderung berichten, kommen sofort.",
    from: "Von",
    to: "Bis",
    zone: "Zeitzone",
    studioZone: (zone) => `Wie das Studio (${zone})`,
    language: "Sprache",
    studioLanguage: "Wie das Studio sie kennt",
    save: "Speichern",
    saved: "Gespeichert. Es gilt ab jetzt.",
    until: (date) => `Dieser Link gilt bis ${date}.`,
    again: "Noch einmal versuchen",
    failed: "Die Seite konnte nicht geladen werden",
    LINK_EXPIRED: ["Dieser Link ist abgelaufen", "Eine neuere Nachricht deines Studios hat einen neuen."],
    LINK_INVALID: ["Dieser Link ist beschädigt", "Bitte öffne den in deiner Nachricht noch einmal, und ganz."],
    ETAG_MISMATCH: "Inzwischen wurde es anderswo geändert. So ist es jetzt.",
    sameTimes: "Anfang und Ende müssen verschieden sein.",
  },
};

let token = takeToken();
let shown;
let language = navigator.language.startsWith("de") ? "de" : "en";
let words = WORDS[language];

// Kept here alone: neither the address bar nor the history shows it.
function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
  if (location.hash) history.replaceState(null, "", location.pathname);
  return found;
}

function speak(wanted) {
  language = wanted in WORDS ? wanted : language;
  words = WORDS[language];
  document.documentElement.lang = language;
  document.title = words.title;
  for (const [id, text] of Object.entries({
    title: words.title, intro: words.intro, caption: words.caption, "quiet-title": words.quietTitle, "quiet-label": words.quietLabel, "quiet-hint": words.quietHint,
    "from-label": words.from, "to-label": words.to, "zone-label": words.zone, "language-label": words.language, save: words.save, again: words.again,
  })) $(id).textContent = text;
}

const isWanted = ({ optOuts }, kind, channel) =>
  !optOuts.some((optOut) => optOut.channel === channel && ["KIND_UNSPECIFIED", kind].includes(optOut.kind));

function showTable(preferences, kinds) {
  $("channels").replaceChildren(
    make("th", { scope: "col", textContent: words.kind }),
    ...CHANNELS.map((channel) => make("th", { scope: "col", textContent: words[channel] })),
  );
  $("kinds").replaceChildren(...kinds.map((kind) => make("tr", {}, make("th", { scope: "row", textContent: words[kind] }),
    ...CHANNELS.map((channel) => make("td", {}, make("label", {},
      make("input", { type: "checkbox", value: `${kind}/${channel}`, checked: isWanted(preferences, kind, channel) }),
      make("span", { className: "hidden-text", textContent: `${words[kind]}, ${words[channel]}` }),
    ))))));
}

function options(select, first, values, chosen) {
  select.replaceChildren(make("option", { value: "", textContent: first }), ...values.map(([value, text]) => make("option", { value, textContent: text })));
  select.value = chosen;
}

function fill(answer) {
  const preferences = (shown = answer.preferences);
  speak(preferences.language);
  $("studio-name").textContent = answer.studioDisplayName || "Powerhouse";
  showTable(preferences, answer.kinds);
  const form = $("preferences");
  form.quiet.checked = Boolean(preferences.quietHours);
  form.start.value = preferences.quietHours?.start ?? "22:00";
  form.end.value = preferences.quietHours?.end ?? "08:00";
  $("hours").hidden = !form.quiet.checked;
  const zones = Intl.supportedValuesOf("timeZone").map((zone) => [zone, zone.replaceAll("_", " ")]);
  if (preferences.timeZone && !zones.some(([zone]) => zone === preferences.timeZone)) zones.unshift([preferences.timeZone, preferences.timeZone]);
  options($("zone"), words.studioZone(preferences.timeZone ? "" : preferences.effectiveTimeZone), zones, preferences.timeZone);
  if (preferences.timeZone) $("zone").options[0].textContent = words.studioZone("").replace(" ()", "");
  options($("language"), words.studioLanguage, [["en", "English"], ["de", "Deutsch"]], preferences.language);
  const until = new Intl.DateTimeFormat(language, { dateStyle: "long" }).format(new Date(answer.expireTime));
  $("until").textContent = words.until(until);
  show("preferences");
}

function optOuts() {
  return CHANNELS.flatMap((channel) => {
    const boxes = [...$("kinds").querySelectorAll("input")].filter((box) => box.value.endsWith(`/${channel}`));
    const unwanted = boxes.filter((box) => !box.checked).map((box) => ({ kind: box.value.split("/")[0], channel }));
    // None at all means none of what may come later either.
    return unwanted.length === boxes.length ? [{ channel }] : unwanted;
  });
}

function fail(title, text, retry) {
  $("broken-title").textContent = title;
  $("broken-text").textContent = text;
  $("again").hidden = !retry;
  show("broken");
  $("broken-title").focus();
}

async function open() {
  try {
    fill(await send("preferences:open", { token: token || "-" }));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const told = words[error.reason];
    if (told) fail(told[0], told[1], false);
    else fail(words.failed, error.message, true);
  }
}

async function save(fields) {
  const quiet = $("quiet").checked;
  if (quiet && fields.start === fields.end) throw new Refused(words.sameTimes);
  const preferences = {
    optOuts: optOuts(),
    offsets: shown.offsets,
    timeZone: fields.timeZone,
    language: fields.language,
    etag: shown.etag,
    ...(quiet && { quietHours: { start: fields.start, end: fields.end } }),
  };
  try {
    await send("preferences:save", { token, preferences });
  } catch (error) {
    if (error.reason !== "ETAG_MISMATCH") throw error;
    await open();
    throw new Refused(words.ETAG_MISMATCH);
  }
  await open();
  say(words.saved);
}

speak(language);
onSubmit("preferences", save);
$("quiet").addEventListener("change", () => ($("hours").hidden = !$("quiet").checked));
$("again").addEventListener("click", (event) => act(event.target, open));
$("notice-close").addEventListener("click", () => say(""));
window.addEventListener("hashchange", () => {
  token = takeToken();
  act($("again"), open);
});
act($("again"), open);
