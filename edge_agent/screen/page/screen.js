// Shows the newest view, and says so when none comes any more. Nothing here grows: one view replaces the one before.
"use strict";

const LOST_MS = 7000; // three missed signs of life
const LOST = {
  mode: "lost", direction: "in", name: "", undo: -1, undo_left_ms: 0, staff: false, strip: ["", ""],
  headline: ["畫面與閘門失去連線", "The screen has lost its gate"],
  next: ["請看讀卡機的燈號", "Watch the light on the reader"],
};
const WAYS = { in: ["進", "In"], out: ["出", "Out"] };
const byId = (id) => document.getElementById(id);

let shown = null; // the view on the screen
let heard = null; // number of the last answer that was sounded
let undoEnds = 0;
let lastWord = performance.now();
let source = null;

function put(id, words) {
  const element = byId(id);
  const [zh, en] = [element.querySelector(".zh"), element.querySelector(".en")];
  if (zh.textContent !== words[0]) zh.textContent = words[0];
  if (en.textContent !== words[1]) en.textContent = words[1];
}

function show(view) {
  const root = document.documentElement;
  if (view.languages) {
    root.dataset.first = view.languages[0] === "en" ? "en" : "zh";
    root.dataset.only = view.languages.length > 1 ? "" : root.dataset.first;
    root.lang = root.dataset.first === "en" ? "en" : "zh-Hant-TW";
    root.dataset.theme = view.theme;
  }
  document.body.dataset.mode = view.mode;
  if (view.title) put("title", view.title);
  put("way", WAYS[view.direction] || WAYS.in);
  put("headline", view.headline);
  put("next", view.next);
  put("strip", view.strip);
  byId("strip").dataset.urgent = String(Boolean(view.is_strip_urgent));
  byId("name").textContent = view.mode === "granted" ? view.name : "";
  byId("staff").hidden = !view.staff;
  undoEnds = performance.now() + view.undo_left_ms;
  countDown(view);
  announce(view);
  shown = view;
}

function announce(view) {
  const isNew = view.answer !== heard;
  const changed = !shown || shown.mode !== view.mode;
  if (!isNew && !changed) return;
  const first = heard === null;
  heard = view.answer === undefined ? heard : view.answer;
  const only = document.documentElement.dataset.only;
  const said = [];
  if (only !== "en") said.push(view.headline[0], view.next[0]);
  if (only !== "zh") said.push(view.headline[1], view.next[1]);
  byId("said").textContent = view.mode === "ready" ? "" : said.filter(Boolean).join(" ");
  if (view.sound && !first && (isNew || ["door", "fire"].includes(view.mode))) sound.play(view.mode);
}

function countDown(view) {
  const left = Math.ceil((undoEnds - performance.now()) / 1000);
  const offered = view.undo >= 0 && left > 0;
  byId("undo").hidden = !offered;
  byId("left").textContent = offered ? `(${left})` : "";
}

function listen() {
  if (source) source.close();
  source = new EventSource("/events");
  source.onmessage = (message) => {
    lastWord = performance.now();
    show(JSON.parse(message.data));
  };
}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tapgate-Screen": "1" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

byId("undo").addEventListener("click", () => {
  if (shown && shown.undo >= 0) ask("/undo", { sequence: shown.undo }).catch(() => {});
  byId("undo").hidden = true;
});

setInterval(() => {
  if (performance.now() - lastWord > LOST_MS) {
    if (!shown || shown.mode !== "lost") show(LOST);
    if (source.readyState === EventSource.CLOSED) listen();
  } else if (shown) {
    countDown(shown);
  }
}, 500);

staffDialog(ask, () => shown);
listen();
