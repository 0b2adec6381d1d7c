// What a browser does with a push message while no page is open: shows it, and opens its link when it is tapped.

self.addEventListener("push", (event) => {
  const { title, body, link, tag } = event.data.json();
  // One with the tag of an earlier one takes its place.
  event.waitUntil(self.registration.showNotification(title, { body, tag, data: { link } }));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data.link));
});

async function open(link) {
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const shown = windows.find(({ url }) => url === link);
  return shown ? shown.focus() : self.clients.openWindow(link);
}
