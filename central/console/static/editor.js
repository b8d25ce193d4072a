// An editor that is checked while somebody types: a textarea with data-check is sent with its form to that address, and
// what comes back stands in the element that data-shown names. Without this file the button "Check" does the same.
"use strict";

for (const area of document.querySelectorAll("textarea[data-check]")) {
  const shown = document.querySelector(area.dataset.shown);
  let timer = 0;
  let asked = null;

  const check = async () => {
    asked?.abort();
    asked = new AbortController();
    const body = new FormData(area.form);
    body.set("fragment", "1");
    try {
      const answer = await fetch(area.dataset.check, { method: "POST", body, signal: asked.signal });
      if (answer.status !== 200 && answer.status !== 422) throw new Error(String(answer.status));
      shown.innerHTML = await answer.text();
      area.setAttribute("aria-invalid", String(shown.querySelector("[data-wrong]") !== null));
    } catch (error) {
      if (error.name !== "AbortError") shown.textContent = area.dataset.apart;
    }
  };

  area.form.addEventListener("input", (event) => {
    if (event.target !== area && event.target.name !== "choices") return;
    clearTimeout(timer);
    timer = setTimeout(check, 400);
  });
}
