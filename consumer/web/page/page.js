// Fetches the page anew every two seconds and changes what has changed. What the server sends is parsed as a document of
// its own, in which no script runs; only elements and texts are taken over from it.
const INTERVAL_MS = 2000;
const PATIENCE_MS = 15000;
const TYPING_MS = 200;
const PARTS = ["header", "main"];

let lastAnswer = new Date();
let lastAddress = location.href;
let isSamePlace = true;
let asked = 0;

/* Taking over what is new */

// Someone is selecting text to copy it: leave it alone.
function isSelecting() {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed;
}

// What a person has changed is theirs: an opened detail, a text that is being typed. The marks of rows are set here.
function isOurs(element, attribute) {
  return (element.tagName === "DETAILS" && attribute === "open") ||
    (element.tagName === "TR" && attribute === "class") ||
    (element === document.activeElement && attribute === "value");
}

function takeAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !isOurs(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !isOurs(old, name)) old.setAttribute(name, value);
  }
}

function isSame(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old.id === fresh.id;
}

function takeOver(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  if (old.isEqualNode(fresh)) return;
  takeAttributes(old, fresh);
  const known = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const found = child.id ? known.get(child.id) : next && !next.id && isSame(next, child) ? next : null;
    if (!found) {
      const arrived = old.insertBefore(document.adoptNode(child), next);
      if (arrived.nodeName === "TR" && known.size > 0 && isSamePlace) arrived.classList.add("is-new");
      continue;
    }
    if (found === next) next = next.nextSibling;
    else old.insertBefore(found, next);
    if (isSame(found, child)) takeOver(found, child);
    else found.replaceWith(document.adoptNode(child));
  }
  while (next) {
    const after = next.nextSibling;
    next.remove();
    next = after;
  }
}

function takePage(fresh) {
  // What comes with another search or order is not new.
  isSamePlace = lastAddress === location.href;
  lastAddress = location.href;
  document.title = fresh.title;
  for (const id of PARTS) {
    const [old, part] = [document.getElementById(id), fresh.getElementById(id)];
    if (old && part) takeOver(old, part);
  }
  mark(current);
}

function showGone(reason) {
  const notice = document.getElementById("gone");
  const time = lastAnswer.toISOString().slice(0, 19) + "Z";
  const text = reason ? `${reason} What you see is from ${time}.` : "";
  if (notice.textContent !== text) notice.textContent = text;
  document.body.classList.toggle("is-gone", reason !== "");
}

// Only the answer to what was asked last is shown.
async function refresh() {
  const turn = ++asked;
  let html;
  try {
    const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (turn !== asked) return;
    html = await response.text();
    if (!response.ok && response.status !== 404) return showGone(`The server answers with an error (${response.status}).`);
  } catch {
    if (turn === asked) showGone("The server does not answer.");
    return;
  }
  if (turn !== asked) return;
  const fresh = new DOMParser().parseFromString(html, "text/html");
  if (!PARTS.every((id) => fresh.getElementById(id))) {
    return showGone("Something else answers in the place of the server: sign in again?");
  }
  if (isSelecting()) return showGone("Paused while text is selected.");
  takePage(fresh);
  lastAnswer = new Date();
  showGone("");
}

async function run() {
  const began = performance.now();
  try {
    if (!document.hidden) await refresh();
  } finally {
    // A page that takes long to make is asked for less often.
    setTimeout(run, Math.max(INTERVAL_MS, 4 * (performance.now() - began)));
  }
}

/* Searching while typing */

let typing;

function search(form) {
  const parameters = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value) parameters.append(name, value);
  }
  const query = parameters.toString();
  history.replaceState(null, "", form.getAttribute("action") + (query ? `?${query}` : ""));
  refresh();
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form || !("live" in form.dataset)) return;
  clearTimeout(typing);
  typing = setTimeout(search, event.target.tagName === "SELECT" ? 0 : TYPING_MS, form);
});

document.addEventListener("submit", (event) => {
  if (!("live" in event.target.dataset)) return;
  event.preventDefault();
  clearTimeout(typing);
  search(event.target);
});

/* Keys */

let current = null;

function rows() {
  return [...document.querySelectorAll("main tbody tr[id]")];
}

function mark(id) {
  for (const row of document.querySelectorAll("tr.is-current")) row.classList.remove("is-current");
  current = id;
  const row = id && document.getElementById(id);
  if (row) row.classList.add("is-current");
  return row;
}

function step(by) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.findIndex((row) => row.id === current);
  const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
  const row = mark(all[to].id);
  row.scrollIntoView({ block: "nearest" });
  row.querySelector("a, summary")?.focus({ preventScroll: true });
}

function toSearch() {
  const field = document.getElementById("q");
  if (!field) return location.assign("/callers#q");
  field.focus();
  field.select();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && event.target.id === "q") return event.target.blur();
  if (event.target.matches("input, select, textarea")) return;
  const view = document.querySelectorAll("nav.views a")[Number(event.key) - 1];
  if (event.key === "/") toSearch();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (view) location.assign(view.href);
  else return;
  event.preventDefault();
});

if (location.hash === "#q") toSearch();
setTimeout(run, INTERVAL_MS);
