// The little that pages need beyond HTML: the menu on small screens, questions before what cannot be taken back,
// and pages that stay as the city is. Without this file everything works by reloading.
"use strict";

const button = document.querySelector(".menu-button");
if (button) {
  button.addEventListener("click", () => {
    const open = document.body.classList.toggle("menu-open");
    button.setAttribute("aria-expanded", String(open));
  });
}

document.addEventListener("click", (event) => {
  const asked = event.target.closest("[data-confirm]");
  if (asked && !window.confirm(asked.dataset.confirm)) event.preventDefault();
});

// A form marked data-submit sends itself when one of its fields changes (filters, switches).
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form && form.hasAttribute("data-submit")) form.requestSubmit();
});

// Boxes of a list: one that ticks all others.
document.addEventListener("change", (event) => {
  const all = event.target;
  if (!all.matches("[data-all]")) return;
  for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
});

// What was copied is said, for a moment, by the button itself.
document.addEventListener("click", async (event) => {
  const copier = event.target.closest("[data-copy]");
  if (!copier) return;
  await navigator.clipboard.writeText(copier.dataset.copy);
  const before = copier.textContent;
  copier.textContent = copier.dataset.done || before;
  setTimeout(() => { copier.textContent = before; }, 1500);
});

// Countdowns: <time data-until="UTC ms"> shows what is left.
function count() {
  for (const place of document.querySelectorAll("[data-until]")) {
    const left = Math.max(0, Math.round((Number(place.dataset.until) - Date.now()) / 1000));
    place.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    place.classList.toggle("over", left === 0);
  }
}
setInterval(count, 1000);
count();

// Live pages: the server sends the block `live` when it changed; what has the focus, and what is folded out, stays so.
const live = document.querySelector("#live[data-live]");
let source = null;

function show(html) {
  const open = new Set([...live.querySelectorAll("details[open][id]")].map((part) => part.id));
  const scrolled = new Map([...live.querySelectorAll(".scroll[id]")].map((part) => [part.id, part.scrollLeft]));
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  const ticked = new Set([...live.querySelectorAll("input[type=checkbox][id]:checked")].map((box) => box.id));
  live.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const [id, left] of scrolled) { const part = document.getElementById(id); if (part) part.scrollLeft = left; }
  for (const id of ticked) { const box = document.getElementById(id); if (box) box.checked = true; }
  if (focused) document.getElementById(focused)?.focus();
  count();
  document.dispatchEvent(new CustomEvent("tapgate:live"));
}

function listen() {
  const address = new URL(location.href);
  address.searchParams.set("live", "1");
  source = new EventSource(address);
  source.onmessage = (event) => { document.body.classList.remove("apart"); show(JSON.parse(event.data)); };
  source.onerror = () => { document.body.classList.add("apart"); };
  source.addEventListener("over", () => { source.close(); location.reload(); });
}

if (live) {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { source?.close(); source = null; } else if (!source) listen();
  });
  if (!document.hidden) listen();
}
