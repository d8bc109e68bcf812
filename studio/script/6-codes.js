// The codes of this key: a list, and what their owner does with them.

const DAY = 86400000;
let next = null;  // the cursor of the next page

function life(code) {
  const left = new Date(code.expires_at) - Date.now();
  const moment = new Date(code.expires_at).toLocaleDateString(undefined, {dateStyle: "medium"});
  if (left <= 0) return filled(TEXTS.ended, {moment});
  const units = [["day", DAY], ["hour", 3600000], ["minute", 60000]];
  const [unit, length] = units.find(([, each]) => left >= each) || units[2];
  const time = new Intl.RelativeTimeFormat(undefined, {numeric: "always"}).format(Math.floor(left / length), unit);
  return filled(TEXTS.ends_in, {time, moment});
}

async function showCodes(more = false) {
  const failed = one("#codes-status");
  failed.textContent = TEXTS.working;
  try {
    const cursor = more && next ? `&cursor=${encodeURIComponent(next)}` : "";
    const page = await call("GET", `/codes?limit=10${cursor}`);
    next = page.next;
    if (!more) one("#codes-list").replaceChildren();
    one("#codes-list").append(...page.codes.map(item));
    failed.textContent = one("#codes-list").children.length ? "" : TEXTS.no_codes;
  } catch (error) {
    failed.textContent = filled(TEXTS.failed, {detail: error.message});
  }
  one("#codes-more").hidden = !next;
}

function item(code) {
  const name = code.label || code.data;
  const about = el("p", {class: "note"});
  const more = el("div");
  const row = el("li", {});
  const act = (work) => async () => {
    about.textContent = "";
    try {
      await work();
    } catch (error) {
      about.textContent = filled(TEXTS.failed, {detail: error.message});
    }
  };
  const path = `/codes/${code.qr_id}`;
  // What is edited is as it was read then; a change by somebody else in between is 412.
  const edit = async () => {
    const read = await call("GET", path);
    const change = async (patch) => {
      const changed_ = await call("PATCH", path, patch, {"If-Match": read[ETAG]});
      const fresh = item({...code, ...changed_});
      row.replaceWith(fresh);
      fresh.querySelector("button").focus();
    };
    more.replaceChildren(editor({...code, ...read}, act, change));
    more.querySelector("input").focus();
  };
  const end = async () => {
    if (!confirm(filled(TEXTS.sure, {name}))) return;
    await call("DELETE", path);
    row.remove();
    one("#codes-status").textContent = filled(TEXTS.gone, {name});
  };
  const label = (text) => ({"aria-label": `${text}: ${name}`});
  row.append(
    el("h3", {}, name),
    el("p", {class: "note"}, code.short_url ? `${code.short_url} → ${code.data}` : code.data),
    el("p", {}, life(code)),
    el("div", {class: "row"},
      el("a", {href: `${base}/retrieve/${code.qr_id}?redirect=1`, ...label(TEXTS.open)}, TEXTS.open),
      button(TEXTS.edit, act(edit), label(TEXTS.edit)),
      code.short_url && code.count ? button(TEXTS.scans_of, act(async () => more.replaceChildren(chart(await call("GET", `${path}/scans`)))), label(TEXTS.scans_of)) : null,
      button(TEXTS.end, act(end), label(TEXTS.end))),
    about, more);
  return row;
}

function editor(code, act, change) {
  const id = code.qr_id;
  const input = (name, text, value, type = "text") => {
    const made = el("input", {id: `${id}-${name}`, type, value: value ?? ""});
    return [made, el("div", {class: "field"}, el("label", {for: made.id}, text), made)];
  };
  const [label, labelField] = input("label", STYLE.label, code.label);
  const [target, targetField] = input("data", TEXTS.purposes.link.fields.data.label, code.data, "url");
  const [over, overField] = input("expired_url", STYLE.expired_url, code.expired_url, "url");
  const lives = Object.fromEntries(Object.entries(STYLE.lives).filter(([hours_]) => hours_ !== "until"));
  const time = select({"": TEXTS.as_it_is, ...lives});
  time.id = `${id}-life`;
  const patch = () => ({
    ...(label.value !== (code.label ?? "") ? {label: label.value || null} : {}),
    ...(code.short_url && target.value !== code.data ? {data: target.value} : {}),
    ...(code.short_url && over.value !== (code.expired_url ?? "") ? {expired_url: over.value || null} : {}),
    ...(time.value ? {expiration_hours: Number(time.value)} : {}),
  });
  return el("div", {class: "grid"},
    labelField,
    code.short_url ? targetField : null,
    code.short_url ? overField : null,
    el("div", {class: "field"}, el("label", {for: time.id}, TEXTS.from_now), time),
    el("div", {class: "row"}, button(TEXTS.save, act(() => change(patch())), {class: "main"})));
}

// Bars of the last 30 days with scans; what they show stands in words too.
function chart({people, bots, days}) {
  const last = days.slice(-30), most = Math.max(1, ...last.map((each) => each.people));
  const words = filled(TEXTS.counted, {people, bots});
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 300 60");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", words);
  last.forEach((each, place) => {
    const bar = document.createElementNS(svg.namespaceURI, "rect");
    const height = 58 * each.people / most;
    for (const [key, value_] of Object.entries({x: place * 10 + 1, y: 59 - height, width: 8, height: height + 1})) bar.setAttribute(key, value_);
    const title = document.createElementNS(svg.namespaceURI, "title");
    title.textContent = `${each.day}: ${each.people}`;
    bar.append(title);
    svg.append(bar);
  });
  return el("div", {class: "chart"}, el("p", {}, words), last.length ? svg : null);
}
