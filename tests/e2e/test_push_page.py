"""Push messages as a person meets them: a button in the page, and a notification when the page is closed.

Browsers are reached through their vendors, which no test can; what the vendor gives is a subscription at the sandbox.
"""

import json
from typing import Any
from uuid import uuid4

import httpx
from playwright.async_api import Browser, ViewportSize, expect

from tests.e2e.test_first_booking import bookable
from tests.support.browser import PHONE, overflows, weak_texts
from tests.support.product import Product, eventually

# The vendor's part of a browser; what it has given outlives the page.
VENDOR = """
const given = () => JSON.parse(localStorage.getItem("given"));
const unsubscribe = async () => localStorage.removeItem("given");
const subscription = () => given() && { endpoint: given().endpoint, toJSON: given, unsubscribe };
PushManager.prototype.getSubscription = async () => subscription();
PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly }) => {
  if (applicationServerKey.length !== 87 || !userVisibleOnly) throw new TypeError("not a key");
  localStorage.setItem("given", JSON.stringify(%s));
  return subscription();
};
"""


async def test_a_client_lets_a_browser_show_news_and_ends_it(running: Product, chromium: Browser) -> None:
    login = next(each for each in running.demo["logins"] if each["role"].lower() == "client")
    async with httpx.AsyncClient(timeout=60) as client:
        subscription = (await client.post(f"{running.url}/sandbox/push")).json()
    # Not by `open_page`: the browser logs as an error that nobody is signed in.
    viewport = ViewportSize(width=PHONE[0], height=PHONE[1])
    context = await chromium.new_context(viewport=viewport, permissions=["notifications"])
    page = await context.new_page()
    await page.add_init_script(VENDOR % json.dumps(subscription))
    await page.goto(f"{running.url}/?studio={login['studio_name'].partition('/')[2]}")
    form = page.locator("#sign-in")
    await form.get_by_label("E-mail").fill(login["email"])
    await form.get_by_label("Password").fill(running.demo["password"])
    await form.get_by_role("button", name="Sign in").click()

    await page.get_by_role("button", name="Turn on").click()
    await expect(page.get_by_text("from now on")).to_be_visible()
    await expect(page.get_by_role("button", name="Turn off")).to_be_visible()
    assert not await overflows(page)
    assert await weak_texts(page) == []
    subscribed = "SELECT endpoint, p256dh, auth FROM push_subscriptions WHERE endpoint = $1"
    [row, *_] = running.sql("notify", subscribed, subscription["endpoint"])
    assert dict(row) == {"endpoint": subscription["endpoint"], **subscription["keys"]}
    await page.reload()
    await expect(page.get_by_role("button", name="Turn off")).to_be_visible()

    # A message comes to the worker that the page has left in the browser.
    words = {"title": "Class cancelled", "body": "Reformer Flow", "link": f"{running.url}/?studio=1", "tag": "a1"}
    devtools, found = await page.context.new_cdp_session(page), list[Any]()
    devtools.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
    await devtools.send("ServiceWorker.enable")
    await page.wait_for_timeout(200)
    message = {"origin": running.url, "registrationId": found[0]["registrationId"], "data": json.dumps(words)}
    for _ in range(2):
        await devtools.send("ServiceWorker.deliverPushMessage", message)
    notifications = "navigator.serviceWorker.ready.then((registration) => registration.getNotifications())"
    await page.wait_for_function(f"{notifications}.then((all) => all.length)")
    shown = await page.evaluate(
        f"{notifications}.then((all) => all.map(({{ title, body, tag, data }}) => ({{ title, body, tag, ...data }})))"
    )
    assert shown == [words]

    await page.get_by_role("button", name="Turn off").click()
    await expect(page.get_by_role("button", name="Turn on")).to_be_visible()
    assert running.sql("notify", subscribed, subscription["endpoint"]) == []
    await page.get_by_role("button", name="Sign out").click()
    await expect(form).to_be_visible()
    assert await page.evaluate("localStorage.getItem('given')") is None
    await context.close()


def test_a_change_of_a_class_reaches_the_browser_of_who_has_booked_it(running: Product) -> None:
    client, owner = running.sign_in("client"), running.sign_in("owner")
    mine = client.get(f"/v1/{client.studio}/clients")["clients"][0]["name"]
    given = httpx.post(f"{running.url}/sandbox/push").json()
    subscription = client.post(f"/v1/{mine}/pushSubscriptions", {"endpoint": given["endpoint"], **given["keys"]})
    week = client.get(f"/v1/{client.studio}/bookableSessions?pageSize=200")["bookableSessions"]
    instructors = [each["name"] for each in owner.get(f"/v1/{client.studio}/instructors")["instructors"]]
    session = bookable(week)
    booking = client.post(f"/v1/{client.studio}/bookings", {"classSession": session["classSession"]})

    def stand_in(instructor: str) -> bool:
        path, body = f"/v1/{session['classSession']}:substitute", {"instructor": instructor}
        answer = owner.attempt("POST", path, body, str(uuid4()))
        return answer is not None and answer.is_success and answer.json()["instructor"] != taught_by

    taught_by = owner.get(f"/v1/{session['classSession']}")["instructor"]
    assert any(stand_in(instructor) for instructor in instructors if instructor != taught_by)
    [shown] = eventually(lambda: running.mails(given["endpoint"].rpartition("/")[2]), 30, "the notification")
    assert shown["subject"].startswith("Class changed")
    assert f"(was {session['instructorDisplayName']})" in shown["text"]
    client.delete(f"/v1/{subscription['name']}")
    client.post(f"/v1/{booking['name']}:cancel", {})
