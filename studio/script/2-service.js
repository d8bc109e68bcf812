// Calls of the service, with the API key where one is needed.

const KEY = "api-key";  // in the tab's session only
const ETAG = Symbol("ETag");  // of an answer: the revision of a code
let asking = null;
let declined = false;  // somebody has closed the question for a key

class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document.detail || `HTTP ${status}`);
    this.status = status;
    this.document = document;
    this.retryAfter = retryAfter;
  }
}

async function send(method, path, body, headers = {}, signal = undefined) {
  const key = sessionStorage.getItem(KEY);
  const answer = await fetch(base + path, {
    method,
    signal,
    headers: {
      Accept: "application/json",
      ...(body === undefined ? {} : {"Content-Type": "application/json"}),
      ...(key ? {"X-Api-Key": key} : {}),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.ok) {
    const found = answer.status === 204 ? {} : await answer.json();
    found[ETAG] = answer.headers.get("ETag");
    return found;
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem, Number(answer.headers.get("Retry-After")) || 1);
}

// As `send`; after a 403 it is repeated with the key that somebody gives. A preview
// does not want a key again from somebody who has just declined.
async function call(...request) {
  try {
    return await send(...request);
  } catch (error) {
    if (error.status !== 403) throw error;
    forget();
    if (!(await askForKey())) throw error;
    return call(...request);
  }
}

function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = one("#ask"), input = one("#key");
    input.value = "";
    dialog.returnValue = "";
    dialog.addEventListener("close", () => {
      const key = dialog.returnValue === "use" ? input.value.trim() : "";
      input.value = "";
      asking = null;
      declined = !key;
      if (key) sessionStorage.setItem(KEY, key);
      showForget();
      resolve(key !== "");
    }, {once: true});
    dialog.showModal();
  });
  return asking;
}

function forget() {
  sessionStorage.removeItem(KEY);
  showForget();
}

function showForget() {
  one("#forget").hidden = !sessionStorage.getItem(KEY);
}
