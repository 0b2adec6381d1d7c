const EVERY_MS = 2000;
const element = (id) => document.getElementById(id);
const root = location.pathname.replace(/\/$/, "");

function row(event) {
  const cells = [
    ["", new Date(event.created * 1000).toLocaleString()], ["", event.type], ["number", event.amount ?? ""],
    ["", event.about ?? ""], ["", event.account],
  ];
  const line = document.createElement("tr");
  line.append(...cells.map(([className, textContent]) =>
    Object.assign(document.createElement("td"), { className, textContent })));
  return line;
}

async function refresh() {
  try {
    const { events } = await (await fetch(`${root}/overview`)).json();
    element("rows").replaceChildren(...events.map(row));
    element("table").hidden = events.length === 0;
    const text = events.length ? "The newest events. This page keeps itself up to date." : "Nothing yet. Buy something, and it appears here by itself.";
    if (element("state").textContent !== text) element("state").textContent = text;
  } catch {
    element("state").textContent = "not reachable";
  }
  setTimeout(refresh, document.hidden ? EVERY_MS * 5 : EVERY_MS);
}
refresh();
