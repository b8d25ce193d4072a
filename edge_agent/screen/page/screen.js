// Shows the newest view, and says so when none comes any more. Nothing here grows: one view replaces the one before.
import { play } from "/sound.js";
import { staffDialog } from "/staff.js";
import { consentPanel } from "/consent.js";

const LOST_MS = 7000; // three missed signs of life
const GONE_MS = 2000; // what a connection that broke is given to come back
const AGAIN_MS = 3000; // how often a gate that is lost is looked for, and a door that stands open sounded
const LOST = {
  mode: "closed", headline: ["畫面與閘門失去連線", "The screen has lost its gate"],
  next: ["請看讀卡機的燈號", "Watch the light on the reader"],
};
const SOUNDED = ["door", "fire"]; // modes that are no answers, and are heard nevertheless
const FITS = [1, 0.88, 0.76, 0.66, 0.57, 0.49, 0.42, 0.35];

const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const ALL = ["title", "way", "headline", "notes", "next", "strip"].map((id) => [id, [...byId(id).querySelectorAll(".zh, .en")]]);
const TEXTS = Object.fromEntries(ALL);

let shown = null; // the view on the screen
let sounded = 0; // number of the last answer that was sounded
let undoEnds = 0;
let statingEnds = 0;
let lastWord = performance.now();
let source = null;
let token = "";
let build = "";
let awake = null;

// --- what is shown ----------------------------------------------------------------------------------------------

function put(element, text) {
  if (element.textContent === text) return false;
  element.textContent = text;
  return true;
}

function putBoth(id, words) {
  const changed = TEXTS[id].map((element, index) => put(element, words[index]));
  return changed.some(Boolean);
}

// A title that is the same in both languages stands once.
function once(words) {
  if (words[0] !== words[1]) return words;
  return root.dataset.first === "en" ? ["", words[1]] : [words[0], ""];
}

function show(view) {
  const before = shown;
  shown = view;
  settings(view);
  document.body.dataset.mode = view.mode;
  document.body.dataset.said = view.is_said_by_way ? "way" : "headline";
  const changed = [
    putBoth("title", once(view.title)), putBoth("way", view.way), putBoth("headline", view.headline),
    putBoth("notes", view.notes), putBoth("next", view.next), putBoth("strip", view.strip), put(byId("name"), view.name),
    put(byId("words"), view.words), !before || before.mode !== view.mode,
    offer(view.choices, view.chosen),
  ];
  byId("strip").dataset.urgent = view.is_strip_urgent;
  byId("staff").hidden = !view.staff;
  undoEnds = performance.now() + view.undo_left_ms;
  statingEnds = performance.now() + view.stating_left_ms;
  countDown();
  if (changed.some(Boolean)) fit();
  announce(view, before);
  staff.meanwhile(view);
  consent.meanwhile(view);
}

// What may be chosen before the tap: the buttons are made anew only when they are others, so that focus stays.
function offer(choices, chosen) {
  const box = byId("choices");
  const offered = JSON.stringify([choices, root.dataset.first]);
  const isOther = box.dataset.offered !== offered;
  if (isOther) {
    box.dataset.offered = offered;
    box.replaceChildren(...choices.map(choiceButton));
  }
  box.hidden = !choices.length;
  for (const button of box.children) button.setAttribute("aria-pressed", String(button.value === chosen));
  return isOther;
}

function choiceButton([rule, words]) {
  const button = document.createElement("button");
  button.type = "button";
  button.value = rule;
  const [zh, en] = once(words);
  for (const [text, lang, kind] of [[zh, "zh-Hant-TW", "zh"], [en, "en", "en"]]) {
    const span = document.createElement("span");
    [span.textContent, span.lang, span.className] = [text, lang, kind];
    button.append(span);
  }
  button.addEventListener("click", () => {
    const isPressed = button.getAttribute("aria-pressed") === "true";
    ask("/choose", { rule: isPressed ? "" : rule }).catch(() => {});
  });
  return button;
}

function settings(view) {
  const first = view.languages[0] === "en" ? "en" : "zh";
  root.dataset.first = first;
  root.dataset.only = view.languages.length > 1 ? "" : first;
  root.lang = first === "en" ? "en" : "zh-Hant-TW";
  root.dataset.theme = view.theme;
}

// A venue's own words may be long: the type gives way until everything is on the screen.
function fit() {
  const main = byId("main");
  for (const size of FITS) {
    root.style.setProperty("--fit", size);
    if (main.scrollHeight <= main.clientHeight && main.scrollWidth <= main.clientWidth + 1) return;
  }
}

function announce(view, before) {
  const isNew = view.is_answer && view.answer !== sounded;
  const isOther = !before || before.mode !== view.mode || before.headline[0] !== view.headline[0];
  if (view.is_answer) sounded = view.answer;
  if (!isNew && !isOther) return;
  const only = root.dataset.only;
  for (const [index, element] of [...byId("said").children].entries()) {
    const heard = only && only !== ["zh", "en"][index] ? [] : [view.headline[index], view.notes[index], view.next[index]];
    element.textContent = heard.filter(Boolean).join(index ? ". " : "，");
  }
  if (view.sound && (isNew || (SOUNDED.includes(view.mode) && isOther))) play(view.mode);
}

function countDown() {
  const left = Math.ceil((undoEnds - performance.now()) / 1000);
  const offered = shown.undo >= 0 && left > 0;
  byId("undo").hidden = !offered;
  put(byId("left"), offered ? `(${left})` : "");
  byId("unsay").hidden = !shown.stating;
  put(byId("unsay-left"), shown.stating ? `(${Math.max(0, Math.ceil((statingEnds - performance.now()) / 1000))})` : "");
}

// The gate does not answer: nothing that needs it is offered.
function lose() {
  token = "";
  if (shown.mode === "closed" && shown.undo < 0 && !shown.staff && !shown.can_consent) return; // out of service already, and why
  show({ ...shown, ...LOST, name: "", words: "", strip: ["", ""], undo: -1, undo_left_ms: 0, staff: false, is_answer: false, notes: ["", ""], choices: [], can_consent: false, stating: false, stating_left_ms: 0 });
}

// --- the gate ---------------------------------------------------------------------------------------------------

function listen() {
  if (source) source.close();
  source = new EventSource("/events");
  source.addEventListener("hello", (message) => {
    const told = JSON.parse(message.data);
    if (build && build !== told.build) location.reload(); // the agent was renewed, and its page with it
    [token, build] = [told.token, told.build];
  });
  source.addEventListener("message", (message) => {
    lastWord = performance.now();
    show(JSON.parse(message.data));
  });
  source.addEventListener("bye", lose);
  source.addEventListener("error", () => {
    lastWord = Math.min(lastWord, performance.now() - LOST_MS + GONE_MS);
  });
}

export async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tapgate-Token": token },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function read(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

byId("unsay").addEventListener("click", () => {
  ask("/consent", { purpose: "" }).catch(() => {});
});
byId("undo").addEventListener("click", () => {
  if (shown.undo >= 0) ask("/undo", { sequence: shown.undo }).catch(() => {});
});

// A screen that sleeps tells nobody anything.
async function stayAwake() {
  if (!navigator.wakeLock || document.hidden || (awake && !awake.released)) return;
  try {
    awake = await navigator.wakeLock.request("screen");
  } catch {
    awake = null; // the machine's own settings have to see to it
  }
}

setInterval(() => {
  if (performance.now() - lastWord > LOST_MS) {
    lose();
    lastWord = performance.now() - LOST_MS + AGAIN_MS;
    listen();
  }
  countDown();
}, 500);
setInterval(() => {
  if (shown.sound && shown.mode === "door") play("door");
}, AGAIN_MS);
addEventListener("resize", fit);
document.addEventListener("visibilitychange", stayAwake);
document.fonts.ready.then(fit);

const staff = staffDialog(ask, () => shown);
const consent = consentPanel(ask, read);
shown = {
  mode: "waiting", headline: ["準備中", "Starting"], next: ["", ""], title: ["", ""], strip: ["", ""], way: ["", ""], name: "",
  notes: ["", ""], is_said_by_way: false, choices: [], chosen: "", can_consent: false, stating: false, stating_left_ms: 0, words: "", undo: -1, undo_left_ms: 0, staff: false, can_admit: false, can_close: false, is_closed_by_staff: false, denied: -1, staff_letters: "", languages: ["zh-TW", "en"],
  theme: "auto", sound: false, is_answer: false, is_strip_urgent: false, answer: 0,
};
show(shown);
listen();
stayAwake();
