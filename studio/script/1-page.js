// Elements, texts, and the address of the service.

const base = location.pathname.replace(/\/$/, "");
const one = (selector) => document.querySelector(selector);

// el("p", {class: "note"}, "text", child): an element; what is text stays text.
function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, listen] of Object.entries(value)) made.addEventListener(event, listen);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

const filled = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

function button(text, click, attributes = {}) {
  return el("button", {type: "button", ...attributes, on: {click}}, text);
}

// A button that copies, and says for two seconds what came of it.
function copyButton(text, content) {
  const made = button(text, async () => {
    try {
      await navigator.clipboard.writeText(content());
      made.textContent = TEXTS.copied;
    } catch {
      made.textContent = TEXTS.not_allowed;
    }
    setTimeout(() => { made.textContent = text; }, 2000);
  });
  return made;
}
