// Fetches the page anew every two seconds and puts its parts in the place of the old ones. What the server sends is
// parsed as a document of its own, in which no script runs.
"use strict";

const INTERVAL_MS = 2000;
const PATIENCE_MS = 15000;
const PARTS = ["state", "main"];
let lastAnswer = new Date();

// Someone is selecting text to copy it: leave it alone.
function isSelecting() {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed;
}

function scrollPositions() {
  const regions = document.querySelectorAll(".scroll[id]");
  return [...regions].map((region) => [region.id, region.scrollLeft, region.scrollTop]);
}

function swap(fresh) {
  const focused = document.activeElement?.id;
  const [left, top] = [window.scrollX, window.scrollY];
  const regions = scrollPositions();
  for (const id of PARTS) {
    const part = fresh.getElementById(id);
    if (part) document.getElementById(id)?.replaceWith(document.adoptNode(part));
  }
  for (const [id, scrollLeft, scrollTop] of regions) {
    document.getElementById(id)?.scrollTo({ left: scrollLeft, top: scrollTop, behavior: "instant" });
  }
  window.scrollTo({ left, top, behavior: "instant" });
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

function showGone(reason) {
  const notice = document.getElementById("gone");
  const time = lastAnswer.toISOString().slice(0, 19) + "Z";
  const text = reason ? `${reason} What you see is from ${time}.` : "";
  if (notice.textContent !== text) notice.textContent = text;
  document.body.classList.toggle("is-gone", reason !== "");
}

async function refresh() {
  let response;
  try {
    response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) return showGone(`The server answers with an error (${response.status}).`);
    const html = await response.text();
    if (!isSelecting()) swap(new DOMParser().parseFromString(html, "text/html"));
  } catch {
    return showGone("The server does not answer.");
  }
  lastAnswer = new Date();
  showGone("");
}

async function run() {
  if (!document.hidden) await refresh();
  setTimeout(run, INTERVAL_MS);
}

setTimeout(run, INTERVAL_MS);
