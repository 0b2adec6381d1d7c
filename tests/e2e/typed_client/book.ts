// Books a class as a client would, with nothing but the types that openapi-typescript made of /openapi.json.
// Called with the address, an e-mail, a password and a studio's id; prints the booking as JSON.

import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , baseUrl = "", email = "", password = "", studio = ""] = process.argv;

let cookie = "";
let csrf = "";
const session: Middleware = {
  onRequest({ request }) {
    if (cookie) request.headers.set("Cookie", cookie);
    if (csrf) request.headers.set("X-CSRF-Token", csrf);
    return request;
  },
  onResponse({ response }) {
    cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? cookie;
    csrf = response.headers.get("X-CSRF-Token") ?? csrf;
  },
};
const api = createClient<paths>({ baseUrl });
api.use(session);

type Refusal = components["schemas"]["Error"];

function given<T>(answer: { data?: T; error?: Refusal }): T {
  if (answer.data === undefined) throw new Error(`${answer.error?.error.status}: ${answer.error?.error.message}`);
  return answer.data;
}

given(await api.POST("/v1/accounts:signIn", { body: { email, password } }));
const me = given(await api.GET("/v1/accounts/me"));
if (me.account?.email !== email) throw new Error("signed in as somebody else");

const week = given(
  await api.GET("/v1/studios/{studio}/bookableSessions", { params: { path: { studio }, query: { pageSize: 200 } } }),
);
const mine = week.bookableSessions.filter((each) => each.myBooking);
type Session = components["schemas"]["BookableSession"];
const apart = (one: Session) =>
  mine.every((each) => one.endTime! <= each.startTime! || each.endTime! <= one.startTime!);
const open = week.bookableSessions.filter((each) => each.availability === "OPEN" && apart(each));
const chosen = open[open.length - 1];
if (!chosen) throw new Error("nothing to book");

const header = () => ({ "Idempotency-Key": crypto.randomUUID() });
const booking: components["schemas"]["Booking"] = given(
  await api.POST("/v1/studios/{studio}/bookings", {
    params: { path: { studio }, header: header() },
    body: { classSession: chosen.classSession },
  }),
);
const state:
  | "STATE_UNSPECIFIED"
  | "CONFIRMED"
  | "CANCELLED_EARLY"
  | "CANCELLED_LATE"
  | "PENDING_PAYMENT"
  | "EXPIRED"
  | "ATTENDED"
  | "NO_SHOW" = booking.state;

// What the contract refuses does not compile.
export const mistakes = () => [
  // @ts-expect-error the session is missing
  api.POST("/v1/studios/{studio}/bookings", { params: { path: { studio }, header: header() }, body: {} }),
  // @ts-expect-error a write has an Idempotency-Key
  api.POST("/v1/studios/{studio}/bookings", { params: { path: { studio } }, body: { classSession: "" } }),
  // @ts-expect-error there is no such path
  api.GET("/v1/studios/{studio}/seats", { params: { path: { studio } } }),
  // @ts-expect-error an answer has no such field
  booking.seat,
];

console.log(JSON.stringify({ ...booking, state }));
