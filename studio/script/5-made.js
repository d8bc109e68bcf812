// A code that was created: its files, its links, and the calls that make it again.

let attempt = {};  // what was sent last, and its key, until it is answered

async function create(event) {
  event.preventDefault();
  const submit = one("#form button.main");
  const wanted = body();
  if (missing().length) {
    draw();
    document.querySelector("#fields :invalid")?.focus();
    return;
  }
  submit.disabled = true;
  submit.textContent = TEXTS.creating;
  try {
    // A repetition after a lost answer has the same key, so it makes no second code.
    const text = JSON.stringify(wanted);
    if (attempt.text !== text) attempt = {text, key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`};
    const made = await call("POST", "/generate?include=image", wanted, {"Idempotency-Key": attempt.key});
    attempt = {};
    showMade(made, wanted);
  } catch (error) {
    if (error instanceof Problem && error.status < 429) explain(error);
    else say(filled(TEXTS.not_created, {detail: error.message}), true);  // until the next change
    document.querySelector("[aria-invalid]")?.focus();
  } finally {
    submit.disabled = false;
    submit.textContent = TEXTS.create;
  }
}

const fileName = (made, wanted, format) => `${(wanted.label || `code-${made.qr_id.slice(0, 8)}`).replace(/[\\/:*?"<>|%\s]+/g, " ").trim()}.${format}`;

async function save(url, name) {
  const [head, text] = url.split(";base64,");
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const address = URL.createObjectURL(new Blob([bytes], {type: head.slice("data:".length)}));
  el("a", {href: address, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// The same symbol in another format. Of a dynamic code it holds the short link.
async function inFormat(made, wanted, format) {
  if (format === made.format) return made.image;
  const {dynamic, expired_url, count, expiration_hours, label, ...same} = wanted;
  const about = made.short_url ? {...same, data: made.short_url} : same;
  const found = await call("POST", "/generate?dry_run=true&include=image", {...about, format});
  return found.image;
}

function showMade(made, wanted) {
  const link = location.origin + base + `/retrieve/${made.qr_id}?redirect=1`;
  const moment = new Date(made.expires_at).toLocaleString(undefined, {dateStyle: "long", timeStyle: "short"});
  const failed = el("p", {role: "alert", class: "note"});
  const picture = el("img", {alt: filled(TEXTS.alt, {data: wanted.label || TEXTS.purposes[purpose()].label}), class: "print"});
  inFormat(made, wanted, ["png", "svg"].includes(made.format) ? made.format : "svg").then((url) => { picture.src = url; }, () => {});
  if (made.width_mm) picture.style.width = `${made.width_mm}mm`;
  const downloads = Object.keys(STYLE.formats).map((format) => {
    const vector = format === "pdf" || format === "eps";
    const refused = vector && (wanted.gradient || wanted.logo);
    return button(`${TEXTS.download} ${format.toUpperCase()}`, async () => {
      failed.textContent = "";
      try {
        await save(await inFormat(made, wanted, format), fileName(made, wanted, format));
      } catch (error) {
        failed.textContent = filled(TEXTS.failed, {detail: error.message});
      }
    }, {disabled: refused, title: refused ? TEXTS.no_gradient : null});
  });
  one("#made-body").replaceChildren(
    el("div", {class: "print"}, picture),
    el("p", {}, filled(made.short_url ? TEXTS.ends : TEXTS.works_until, {moment})),
    el("div", {class: "row"}, ...downloads, button(TEXTS.print_it, () => print())),
    failed,
    remembering(made, wanted),
    el("div", {class: "row"},
      copyButton(TEXTS.copy_link, () => link),
      made.short_url ? copyButton(TEXTS.copy_short, () => made.short_url) : null,
      copyButton(TEXTS.copy_curl, () => asCurl(wanted)),
      copyButton(TEXTS.copy_python, () => asPython(wanted)),
      button(TEXTS.another, () => { one("#made").hidden = true; one("#purposes input:checked").focus(); })));
  one("#made").hidden = false;
  one("#made").focus();
}

const withKey = () => sessionStorage.getItem(KEY) !== null;

function asCurl(wanted) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  return [`curl ${quoted(`${location.origin}${base}/generate`)}`,
    `-H 'Content-Type: application/json'`,
    ...(withKey() ? [`-H 'X-Api-Key: API_KEY'`] : []),
    `-d ${quoted(JSON.stringify(wanted))}`].join(" \\\n  ");
}

function asPython(wanted) {
  const literal = JSON.stringify(JSON.stringify(wanted));
  return `import json

import requests

answer = requests.post(
    ${JSON.stringify(`${location.origin}${base}/generate`)},
    json=json.loads(${literal}),${withKey() ? `\n    headers={"X-Api-Key": "API_KEY"},` : ""}
    timeout=30,
)
answer.raise_for_status()
print(answer.json())
`;
}
