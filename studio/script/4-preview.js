// The picture, which changes as somebody types: dry runs, each overtaken by the next.

const DELAY = 60;  // milliseconds after the last change
const AWAY = 3000;  // until the next try, if the service does not answer
let timer, controller;

function changed(delay = DELAY) {
  clearTimeout(timer);
  controller?.abort();
  one("#paper").classList.add("old");
  timer = setTimeout(draw, delay);
}

async function draw() {
  if (document.hidden) return;  // drawn when the tab is looked at again
  const empty = missing();
  if (empty.length) {
    clearErrors();
    say(TEXTS.missing + empty.join(", "));
    return;
  }
  controller = new AbortController();
  const {signal} = controller;
  try {
    const ask = declined ? send : call;
    const found = await ask("POST", "/generate?dry_run=true&include=image", body({life: false}), {}, signal);
    if (!signal.aborted) show(found);
  } catch (error) {
    if (!signal.aborted) explain(error);
  }
}

function say(text, wrong = false) {
  one("#status").textContent = text;
  one("#status").classList.toggle("wrong", wrong);
  one("#meter").hidden = true;
}

function clearErrors() {
  for (const error of document.querySelectorAll(".error")) error.textContent = "";
  for (const old of document.querySelectorAll(".remedy")) old.remove();
  for (const input of document.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function show(found) {
  clearErrors();
  say(filled(found.width_mm ? TEXTS.size_mm : TEXTS.size_px, found));
  const picture = one("#picture");
  picture.alt = filled(TEXTS.alt, {data: TEXTS.purposes[purpose()].label});
  showImage(found, picture);
  one("#margin").value = found.margin;
  one("#margin-words").textContent = TEXTS.scans[found.margin < 0.6 ? 0 : found.margin < 0.9 ? 1 : 2];
  one("#meter").hidden = false;
}

// A browser draws no PDF and no EPS in a page: their preview is the same as an SVG.
async function showImage(found, picture) {
  let url = found.image;
  if (!/^data:image\//.test(url)) {
    const {signal} = controller;
    const asSvg = await call("POST", "/generate?dry_run=true&include=image", {...body({life: false}), format: "svg"}, {}, signal).catch(() => null);
    if (!asSvg || signal.aborted) return;
    url = asSvg.image;
  }
  picture.src = url;
  picture.hidden = false;
  one("#paper").classList.remove("old");
  picture.dataset.shown = found.image;
}

function explain(error) {
  if (!(error instanceof Problem)) {
    say(TEXTS.away, true);
    changed(AWAY);
    return;
  }
  if (error.status === 429 || error.status === 503) {
    say(error.status === 429 ? TEXTS.waiting : TEXTS.away);
    changed(1000 * error.retryAfter);
    return;
  }
  if (error.status === 403) {
    say(TEXTS.no_key, true);
    return;
  }
  clearErrors();
  const {detail, field: name, allowed} = error.document;
  say(detail, true);
  const input = document.getElementById(`f-${name}`);
  if (!input) return;
  input.setAttribute("aria-invalid", "true");
  document.getElementById(`f-${name}-error`).textContent = detail;
  input.closest("details")?.setAttribute("open", "");
  const works = remedy(input, allowed);
  if (works === null) return;
  document.getElementById(`f-${name}-error`).after(button(filled(TEXTS.use, {value: works}), () => {
    input.value = works;
    showWhatIsNeeded();
    changed(0);
    input.focus();
  }, {class: "remedy"}));
}

// The nearest value that works, if the service names one: a colour, a number, a range.
function remedy(input, allowed) {
  if (typeof allowed === "number") return String(allowed);
  if (typeof allowed !== "string") return null;
  if (/^#[0-9a-f]{6}$/.test(allowed)) return allowed;
  const range = /^(-?[\d.]+?)\.\.(-?[\d.]+)/.exec(allowed);
  if (!range || !["number", "range"].includes(input.type)) return null;
  const [, least, most] = range;
  return Number(input.value) < Number(least) ? least : most;
}
