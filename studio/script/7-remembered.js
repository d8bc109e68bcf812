// The codes that were made on this device, if somebody wants them remembered. Nothing
// else is kept, and no key.

const REMEMBERED = "codes";
const MOST = 50;

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(REMEMBERED));
  } catch {
    return null;  // storage is not allowed
  }
}

function remember(codes) {
  if (codes) localStorage.setItem(REMEMBERED, JSON.stringify(codes.slice(0, MOST)));
  else localStorage.removeItem(REMEMBERED);
  showRemembered();
}

function remembering(made, wanted) {
  const code = {qr_id: made.qr_id, expires_at: made.expires_at, name: wanted.label || wanted.data || TEXTS.purposes[purpose()].label};
  const box = el("input", {type: "checkbox", checked: remembered() !== null, on: {change: () => remember(box.checked ? [code] : null)}});
  if (box.checked) remember([code, ...remembered()]);
  return field("remember", TEXTS.remember, box, TEXTS.remember_hint);
}

function showRemembered() {
  const codes = remembered() ?? [];
  one("#remembered").hidden = !codes.length;
  one("#remembered-list").replaceChildren(...codes.map((code) => el("li", {},
    el("a", {href: `${base}/retrieve/${encodeURIComponent(code.qr_id)}?redirect=1`}, code.name), " ", life(code))));
}
