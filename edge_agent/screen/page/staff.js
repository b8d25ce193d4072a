// The dialog in which staff admit somebody by hand, or close the way in and open it again: what, who, PIN, in turn. Left alone it closes itself.
const IDLE_MS = 60000;
const LETTERS = "1234567890qwertyuiopasdfghjkl-zxcvbnm._";
const DIGITS = "1234567890";
const DELETE = "⌫";
const SPACE = "␣";
const DOES = { // what the last button does: its words, and those of the dialog
  admit: [["放行", "Admit"], ["人工放行", "Admit by hand"]],
  close: [["關閉入口", "Close"], ["關閉入口", "Close the way in"]],
  open: [["重新開放", "Open"], ["重新開放入口", "Open the way in"]],
};
const STEPS = { why: [], closing: [], hours: [], other: ["letters"], who: ["letters"], pin: ["digits"] }; // and the keys of each
const SAID = {
  wait: (seconds) => [`請等 ${seconds} 秒再試`, `Wait ${seconds} seconds`],
  pin: () => ["代號或密碼不對", "Wrong id or PIN"],
  short: () => ["密碼有 6 到 12 個數字", "A PIN has 6 to 12 digits"],
  empty: () => ["請先輸入", "Please type it in"],
  lost: () => ["閘門沒有回應，請再試一次", "No answer from the gate, please try again"],
  "journal-unwritable": () => ["閘門無法記錄，沒有執行", "The gate cannot keep records: nothing was done"],
};

// `ask` sends to the gate, `view` is what the screen shows.
export function staffDialog(ask, view) {
  const byId = (id) => document.getElementById(id);
  const dialog = byId("admit");
  let step = "why";
  let why = "";
  let does = "admit";
  let hours = 0;
  let denied = -1; // the tap that the person was denied by, as it stood when the dialog was opened
  let letters = null;
  let idle = 0;
  let busy = false;

  // --- keys -------------------------------------------------------------------------------------------------------

  function keys(id, characters) {
    byId(id).replaceChildren(...[...characters, DELETE].map((character) => {
      const button = document.createElement("button");
      button.type = "button";
      button.value = character;
      if (character === DELETE) button.append(named("zh", "刪除"), " ", named("en", "Delete"));
      else if (character === SPACE) button.append(named("zh", "空格"), " ", named("en", "Space"));
      else button.textContent = character;
      return button;
    }));
  }

  function named(language, text) {
    const span = document.createElement("span");
    span.className = language;
    span.lang = language === "zh" ? "zh-Hant-TW" : "en";
    span.textContent = text;
    return span;
  }

  function press(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const input = byId(step);
    const typed = button.value === SPACE ? " " : button.value;
    const most = Number(input.maxLength);
    input.value = button.value === DELETE ? input.value.slice(0, -1) : (input.value + typed).slice(0, most);
    say();
  }

  // --- steps ------------------------------------------------------------------------------------------------------

  function go(to) {
    step = to;
    for (const name of Object.keys(STEPS)) byId(`step-${name}`).hidden = name !== step;
    for (const name of ["letters", "digits"]) byId(name).hidden = !STEPS[step].includes(name);
    byId("onward").hidden = isChoice();
    byId("next-step").hidden = step === "pin";
    byId("let").hidden = step !== "pin";
    say();
    (isChoice() ? byId(`step-${step}`).querySelector("button:not([hidden])") : byId(step)).focus();
  }

  function isChoice() {
    return !STEPS[step].length;
  }

  function start(what, first) {
    does = what;
    for (const [id, words] of [["let", DOES[does][0]], ["admit-title", DOES[does][1]]]) {
      [byId(id).querySelector(".zh").textContent, byId(id).querySelector(".en").textContent] = words;
    }
    go(first);
  }

  function open() {
    if (dialog.open) return;
    denied = view().denied;
    if (letters !== view().staff_letters) {
      letters = view().staff_letters;
      keys("letters", `${LETTERS}${letters}${SPACE}`);
    }
    clear();
    byId("to-close").hidden = !view().can_close;
    byId("to-open").hidden = !view().is_closed_by_staff;
    dialog.showModal();
    if (view().can_admit) start("admit", "why");
    else start("close", "closing");
    stir();
  }

  function clear() {
    why = "";
    for (const name of ["other", "who", "pin"]) byId(name).value = "";
  }

  function close() {
    clearTimeout(idle);
    clear();
    if (dialog.open) dialog.close();
  }

  function stir() {
    clearTimeout(idle);
    idle = setTimeout(close, IDLE_MS);
  }

  function say(name, detail) {
    const words = name ? (SAID[name] || SAID.lost)(detail) : ["", ""];
    byId("refused").querySelector(".zh").textContent = words[0];
    byId("refused").querySelector(".en").textContent = words[1];
  }

  function submit(event) {
    event.preventDefault();
    if (busy || isChoice()) return;
    if (step === "pin") {
      if (/^[0-9]{6,12}$/.test(byId("pin").value)) act();
      else say("short");
    } else if (byId(step).value.trim() === "") {
      say("empty");
    } else {
      go(step === "other" ? "who" : "pin");
    }
  }

  function asked() {
    if (does === "close") return { why, hours };
    if (does === "open") return {};
    return { why: why === "other" ? `other: ${byId("other").value.trim()}` : why, sequence: denied };
  }

  async function act() {
    const body = { staff: byId("who").value.trim(), pin: byId("pin").value, ...asked() };
    byId("pin").value = "";
    busy = true;
    byId("let").disabled = true;
    let answer = { why: "lost", wait_ms: 0 };
    try {
      answer = await ask(`/${does}`, body);
    } catch { /* said below */ }
    busy = false;
    byId("let").disabled = false;
    if (answer.admitted || answer.done) return close();
    if (!dialog.open) return;
    say(answer.why, Math.ceil(answer.wait_ms / 1000));
    byId("pin").focus();
  }

  // What happens at the reader meanwhile covers nothing here, and is not missed.
  function meanwhile(now) {
    if (!dialog.open) return;
    if (!now.staff) return close();
    const words = now.mode === "ready" ? ["", ""] : now.headline;
    byId("meanwhile").dataset.mode = now.mode;
    [...byId("meanwhile").children].forEach((element, index) => {
      if (element.textContent !== words[index]) element.textContent = words[index];
    });
  }

  keys("digits", DIGITS);
  byId("letters").addEventListener("click", press);
  byId("digits").addEventListener("click", press);
  byId("reasons").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    why = button.value;
    go(why === "other" ? "other" : "who");
  });
  byId("closing").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    why = button.value;
    go("hours");
  });
  byId("hours").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    hours = Number(button.value);
    go("who");
  });
  byId("to-close").addEventListener("click", () => start("close", "closing"));
  byId("to-open").addEventListener("click", () => start("open", "who"));
  for (const kind of ["input", "click", "keydown"]) dialog.addEventListener(kind, stir);
  dialog.addEventListener("input", () => say());
  dialog.addEventListener("close", close);
  dialog.querySelector("form").addEventListener("submit", submit);
  byId("cancel").addEventListener("click", close);
  byId("staff").addEventListener("click", open);
  return { meanwhile };
}
