// The form: its fields come from the service's own declarations (SPEC) and from TEXTS.

const STYLE = TEXTS.style;
const PRESETS = {
  plain: {dark: "#000000", light: "#ffffff", shape: "square", gradient: "", to: "#000000"},
  rounded: {dark: "#1a237e", light: "#fff8e7", shape: "rounded", gradient: "", to: "#1a237e"},
  dots: {dark: "#0d47a1", light: "#ffffff", shape: "circle", gradient: "radial", to: "#7a0026"},
  evening: {dark: "#1b3a2b", light: "#ffffff", shape: "gapped", gradient: "linear", to: "#4a148c"},
};
let logo = null;  // a data URL

// A field with its label, its hint and the place of its error. Its id is the name that
// the service gives it in an error, such as content.iban.
function field(name, label, input, hint = "") {
  const id = `f-${name}`;
  const described = [hint ? `${id}-hint` : "", `${id}-error`].filter(Boolean).join(" ");
  input.id = id;
  input.setAttribute("aria-describedby", described);
  const words = el("label", {for: id}, label);
  const check = input.type === "checkbox";
  return el("div", {class: check ? "field check" : "field"},
    ...(check ? [input, " ", words] : [words, input]),
    hint ? el("small", {id: `${id}-hint`}, hint) : null,
    el("span", {class: "error", id: `${id}-error`}));
}

const select = (options, chosen = "") => el("select", {},
  ...Object.entries(options).map(([value, text]) => el("option", {value, selected: value === chosen}, text)));

function memberInput(kind, member, words) {
  const common = {maxlength: member.most_length, required: member.required, autocomplete: "off"};
  if (member.kind === "boolean") return el("input", {type: "checkbox"});
  if (member.kind === "choice") return select(Object.fromEntries(member.choices.map((each) => [each, each])), member.default);
  if (member.kind === "number") return el("input", {type: "number", step: "any", min: member.least, max: member.most, required: member.required});
  const shown = words.input || "text";
  if (shown === "lines") return el("textarea", common);
  if (shown === "moment") return el("input", {type: "datetime-local", required: member.required});
  if (shown === "date") return el("input", {type: "date", required: member.required});
  return el("input", {type: shown, spellcheck: "false", placeholder: member.default ?? null, ...common});
}

const purpose = () => one("#purposes input:checked").value;
const isContent = () => purpose() in SPEC.contents;
const nameOf = (member) => isContent() ? `content.${member}` : member;

function membersOf(kind) {
  return SPEC.contents[kind] || [{name: "data", kind: "text", required: true}];
}

function showFields() {
  const kind = purpose(), words = TEXTS.purposes[kind];
  one("#fields-legend").textContent = words.label;
  for (const old of document.querySelectorAll("#fields .field")) old.remove();
  for (const member of membersOf(kind)) {
    const text = words.fields[member.name];
    const label = member.required || member.kind === "boolean" || member.kind === "choice"
      ? text.label : `${text.label} (${TEXTS.optional})`;
    const input = memberInput(kind, member, text);
    if (kind === "link") input.value = "https://example.com/";
    one("#fields").append(field(nameOf(member.name), label, input, text.hint));
  }
  document.getElementById("f-dynamic").closest(".field").hidden = kind !== "link";
}

const value = (name) => document.getElementById(`f-${name}`).value;
const checked = (name) => document.getElementById(`f-${name}`).checked;

function memberValue(kind, member) {
  const input = document.getElementById(`f-${nameOf(member.name)}`);
  if (member.kind === "boolean") return input.checked || undefined;
  if (input.value === "") return undefined;
  if (member.kind === "number") return Number(input.value);
  if (input.type === "datetime-local") return `${new Date(input.value).toISOString().slice(0, 19)}Z`;
  return input.value;
}

// What is required and empty, by its label.
function missing() {
  return membersOf(purpose())
    .filter((member) => member.required && memberValue(purpose(), member) === undefined)
    .map((member) => TEXTS.purposes[purpose()].fields[member.name].label);
}

function hours() {
  if (value("life") !== "until") return Number(value("life"));
  return (new Date(value("expiration_hours")) - Date.now()) / 3600000;
}

// The body of POST /generate that the form describes. Without `life` it is about the
// picture alone, so that it stays the same while time passes.
function body({life = true} = {}) {
  const kind = purpose(), members = {};
  for (const member of membersOf(kind)) {
    const given = memberValue(kind, member);
    if (given !== undefined) members[member.name] = given;
  }
  const made = isContent() ? {content: {type: kind, ...members}} : members;
  const dynamic = kind === "link" && checked("dynamic");
  if (life || dynamic) made.expiration_hours = hours();
  if (dynamic) made.dynamic = true;
  if (dynamic && value("expired_url")) made.expired_url = value("expired_url");
  if (dynamic && !checked("count")) made.count = false;
  if (life && value("label")) made.label = value("label");
  return {...made, ...look()};
}

function look() {
  const made = {format: value("format"), dark: value("dark"), light: checked("transparent") ? "transparent" : value("light"), shape: value("shape")};
  if (value("error_correction")) Object.assign(made, {error_correction: value("error_correction"), boost_error_correction: false});
  if (value("border") !== "4") made.border = Number(value("border"));
  if (value("gradient")) made.gradient = {type: value("gradient"), to: value("gradient.to")};
  if (logo) Object.assign(made, {logo, logo_size: Number(value("logo_size"))});
  if (value("size") === "width") made.width = Number(value("width"));
  if (value("size") === "size_mm") Object.assign(made, {size_mm: Number(value("size_mm")), dpi: Number(value("dpi"))});
  return made;
}

function preset(name) {
  const {gradient, to, ...plain} = PRESETS[name];
  for (const [field_, given] of Object.entries(plain)) document.getElementById(`f-${field_}`).value = given;
  document.getElementById("f-gradient").value = gradient;
  document.getElementById("f-gradient.to").value = to;
  document.getElementById("f-transparent").checked = false;
  showWhatIsNeeded();
  changed();
}

function showWhatIsNeeded() {
  const shown = (name, condition) => { document.getElementById(`f-${name}`).closest(".field").hidden = !condition; };
  shown("gradient.to", value("gradient"));
  shown("light", !checked("transparent"));
  shown("logo_size", logo);
  shown("width", value("size") === "width");
  shown("size_mm", value("size") === "size_mm");
  shown("dpi", value("size") === "size_mm");
  shown("expiration_hours", value("life") === "until");
  const dynamic = purpose() === "link" && checked("dynamic");
  shown("expired_url", dynamic);
  shown("count", dynamic);
  one("#no-logo").hidden = !logo;
}

async function takeLogo(file) {
  if (!file) return;
  logo = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = reject;
    reader.readAsDataURL(file);
  });
  showWhatIsNeeded();
  changed();
}

function buildForm() {
  const kinds = Object.entries(TEXTS.purposes).map(([kind, words]) => {
    const input = el("input", {type: "radio", name: "purpose", value: kind, id: `p-${kind}`, checked: kind === "link"});
    return el("label", {for: `p-${kind}`}, input, words.label);
  });
  one("#purposes").append(el("div", {}, ...kinds));
  const drop = el("input", {type: "file", accept: "image/png,image/jpeg", on: {change: (event) => takeLogo(event.target.files[0])}});
  const dropped = field("logo", STYLE.logo, drop, STYLE.logo_hint);
  dropped.classList.add("drop");
  dropped.append(button(STYLE.no_logo, () => { logo = null; drop.value = ""; showWhatIsNeeded(); changed(); }, {id: "no-logo", hidden: true}));
  for (const event of ["dragover", "dragleave", "drop"]) {
    dropped.addEventListener(event, (moved) => {
      moved.preventDefault();
      dropped.classList.toggle("over", event === "dragover");
      if (event === "drop") takeLogo(moved.dataTransfer.files[0]);
    });
  }
  const presets = Object.entries(STYLE.preset).map(([name, text]) => button(text, () => preset(name)));
  one("#look .grid").append(
    el("div", {class: "row", role: "group", "aria-label": STYLE.presets}, ...presets),
    field("dark", STYLE.dark, el("input", {type: "color", value: "#000000"})),
    field("light", STYLE.light, el("input", {type: "color", value: "#ffffff"})),
    field("transparent", STYLE.transparent, el("input", {type: "checkbox"})),
    field("shape", STYLE.shape, select(STYLE.shapes, "square")),
    field("gradient", STYLE.gradient, select(STYLE.gradients)),
    field("gradient.to", STYLE.to, el("input", {type: "color", value: "#7a0026"})),
    dropped,
    field("logo_size", STYLE.logo_size, el("input", {type: "range", min: SPEC.logo_size.least, max: SPEC.logo_size.most, step: "0.001", value: "0.2"})));
  one("#print .grid").append(
    field("format", STYLE.format, select(STYLE.formats, "png")),
    field("size", STYLE.size, select(STYLE.sizes)),
    field("width", STYLE.width, el("input", {type: "number", min: SPEC.width.least, max: SPEC.width.most, value: "400"})),
    field("size_mm", STYLE.size_mm, el("input", {type: "number", step: "any", min: SPEC.size_mm.least, max: SPEC.size_mm.most, value: "30"})),
    field("dpi", STYLE.dpi, el("input", {type: "number", min: SPEC.dpi.least, max: SPEC.dpi.most, value: "300"})),
    field("border", STYLE.border, el("input", {type: "number", min: SPEC.border.least, max: SPEC.border.most, value: "4"})),
    field("error_correction", STYLE.error_correction, select(STYLE.levels)));
  const tomorrow = new Date(Date.now() + 86400000 - new Date().getTimezoneOffset() * 60000);
  one("#life .grid").append(
    field("life", STYLE.life, select(STYLE.lives, "720"), STYLE.life_hint),
    field("expiration_hours", STYLE.until, el("input", {type: "datetime-local", value: tomorrow.toISOString().slice(0, 16)})),
    field("label", `${STYLE.label} (${TEXTS.optional})`, el("input", {type: "text", maxlength: SPEC.label.most, autocomplete: "off"}), STYLE.label_hint),
    field("dynamic", STYLE.dynamic, el("input", {type: "checkbox"}), STYLE.dynamic_hint),
    field("expired_url", `${STYLE.expired_url} (${TEXTS.optional})`, el("input", {type: "url", autocomplete: "off"}), STYLE.expired_hint),
    field("count", STYLE.count, el("input", {type: "checkbox", checked: true})));
  showFields();
  showWhatIsNeeded();
}
