// Cards, gates and lines of the demonstration; the state is asked for twice a second.
"use strict";

const cards = document.querySelector("#cards");
const gates = document.querySelector("#gates");
const said = document.querySelector("#said");

function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

function offer(list) {
  if (cards.querySelector("input")) return;
  list.forEach((card, n) => {
    const label = element("label");
    const radio = element("input", "", { type: "radio", name: "card", value: card.uid });
    radio.checked = n === 0;
    const text = element("span", `${card.text} `);
    text.append(element("code", card.uid));
    label.append(radio, text);
    cards.append(label);
  });
}

function make(gate) {
  const box = element("article", "", { class: "gate", "data-gate": gate.gate });
  const title = element("h2", `${gate.zh} `);
  title.append(element("span", gate.en, { lang: "en" }));
  const line = element("p", "", { class: "line" });
  const buttons = element("div", "", { class: "buttons" });
  const tap = element("button", "感應 Tap", { class: "tap", "aria-label": `感應 Tap: ${gate.en}` });
  const cut = element("button", "", { class: "switch" });
  tap.addEventListener("click", async () => {
    const card = cards.querySelector("input:checked");
    try {
      const answer = await send("tap", { gate: gate.gate, uid: card.value });
      said.textContent = `${gate.zh}: ${answer.zh} · ${answer.en}`;
    } catch (error) {
      said.textContent = `${gate.zh}: 閘門沒有回應 · the gate did not answer (${error.message})`;
    }
    await refresh();
  });
  cut.addEventListener("click", async () => {
    await send("line", { gate: gate.gate, cut: !box.classList.contains("cut") });
    await refresh();
  });
  buttons.append(tap, cut);
  if (gate.screen) buttons.append(element("a", "螢幕 Screen", { href: gate.screen, target: "_blank", rel: "noopener" }));
  box.append(title, line, buttons, element("ol"));
  gates.append(box);
  return box;
}

function show(gate) {
  const box = gates.querySelector(`[data-gate="${gate.gate}"]`) || make(gate);
  box.classList.toggle("cut", gate.cut);
  const waiting = gate.waiting === null || gate.waiting === undefined ? "…" : gate.waiting;
  const line = gate.cut ? "網路線已切斷 line cut" : "連線中 connected";
  box.querySelector(".line").textContent = `${line} · 待送 waiting: ${waiting} · 紀錄 events: ${gate.events}`;
  box.querySelector(".switch").textContent = gate.cut ? "接回網路線 Join the line" : "切斷網路線 Cut the line";
  box.querySelector("ol").replaceChildren(...gate.answers.map((answer) => element("li", `${answer.zh} · ${answer.en}`, { class: answer.outcome })));
}

async function refresh() {
  const state = await (await fetch("state")).json();
  offer(state.cards);
  state.gates.forEach(show);
  document.querySelector("#console").href = state.console;
}

async function go() {
  try { await refresh(); } catch { said.textContent = "展示已結束 · the demonstration has ended"; }
  setTimeout(go, 500);
}
go();
