// What the pages share: where the sandbox is, and how it is asked.
const [ROOT, REST] = location.pathname.split(/\/(?:elements|onboarding)\//);
export const root = ROOT.replace(/\/$/, "");
export const rest = REST ?? "";
export const element = (id) => document.getElementById(id);
export const made = (tag, fields = {}, ...inner) => {
  const node = Object.assign(document.createElement(tag), fields);
  node.append(...inner);
  return node;
};

export async function ask(path, options = {}) {
  const answer = await fetch(root + path, options);
  const body = await answer.json();
  if (!answer.ok || body.error) {
    throw Object.assign(new Error(body.error?.message ?? `answered ${answer.status}`), { refusal: body.error });
  }
  return body;
}

export const tell = (path, body) =>
  ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export const confirm = (path, fields) =>
  ask(path, { method: "POST", body: new URLSearchParams(fields) });

export function show(id, text) {
  element(id).textContent = text ?? "";
  element(id).hidden = !text;
}

// A page inside a frame takes its whole window along.
export const leave = (address) => (window.top ?? window).location.assign(address);
