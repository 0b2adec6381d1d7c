// Elements without markup in strings, so that nothing a contract or an answer says can become code.

export const $ = (selector) => document.querySelector(selector);

// el("button.quiet", {type: "button", onclick}, "Send", …): a tag with classes, properties or attributes, children.
export function el(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  element.classList.add(...classes);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
  return element;
}

// The part of Markdown that comments use: paragraphs, lists, `code` and **bold**.
export function prose(text = "") {
  return text.split(/\n{2,}/).filter(Boolean).map((block) => {
    const lines = block.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      return el("ul", {}, lines.map((line) => el("li", {}, inline(line.slice(2)))));
    }
    return el("p", {}, inline(block));
  });
}

export function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).filter(Boolean).map((part) => {
    if (part.startsWith("`")) return el("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return el("strong", {}, part.slice(2, -2));
    return part;
  });
}

export function copyButton(label, text) {
  const button = el("button.quiet", {
    type: "button",
    onclick: async () => {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 1500);
    },
  }, label);
  return button;
}
