// The dialog in which staff admit somebody by hand: who, why, PIN. It closes by itself when it is left alone.
"use strict";

const REASONS = [
  ["forgot-card", "忘了帶卡", "Forgot the card"],
  ["unreadable", "卡片讀不到", "Card cannot be read"],
  ["helper", "陪同者、照顧者", "Carer or companion"],
  ["group", "團體", "Group"],
  ["fault", "設備故障", "Technical fault"],
  ["other", "其他", "Other"],
];
const IDLE_MS = 60000;

function staffDialog(ask, view) {
  const byId = (id) => document.getElementById(id);
  const dialog = byId("admit");
  let denied = -1;
  let idle = 0;

  for (const [value, zh, en] of REASONS) {
    const label = document.createElement("label");
    label.className = "reason";
    const radio = document.createElement("input");
    Object.assign(radio, { type: "radio", name: "why", value, required: true });
    label.append(radio, text("zh", zh), text("en", en));
    byId("reasons").append(label);
  }
  for (const key of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0", "⌫"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = key;
    if (key === "⌫") button.setAttribute("aria-label", "刪除 Delete");
    button.addEventListener("click", () => {
      const pin = byId("pin");
      pin.value = key === "⌫" ? pin.value.slice(0, -1) : (pin.value + key).slice(0, 12);
    });
    byId("keys").append(button);
  }

  function text(which, words) {
    const span = document.createElement("span");
    span.className = which;
    span.lang = which === "zh" ? "zh-Hant-TW" : "en";
    span.textContent = words;
    return span;
  }

  async function open() {
    const answer = await fetch("/staff");
    const { staff } = await answer.json();
    byId("who").replaceChildren(...staff.map((id) => new Option(id, id)));
    denied = view() ? view().denied : -1;
    clear();
    dialog.showModal();
    stir();
  }

  function clear() {
    byId("pin").value = "";
    byId("other").value = "";
    byId("other").hidden = true;
    byId("refused").textContent = "";
    for (const radio of dialog.querySelectorAll("input[name=why]")) radio.checked = false;
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

  async function admit(event) {
    event.preventDefault();
    const why = dialog.querySelector("input[name=why]:checked").value;
    const body = { staff: byId("who").value, pin: byId("pin").value, sequence: denied };
    body.why = why === "other" ? `other: ${byId("other").value.trim()}` : why;
    byId("pin").value = "";
    byId("let").disabled = true;
    try {
      const answer = await ask("/admit", body);
      if (answer.admitted) return close();
      byId("refused").textContent = refusal(answer);
    } catch {
      byId("refused").textContent = "沒有送達，請再試一次 Not received, please try again";
    } finally {
      byId("let").disabled = false;
    }
    byId("pin").focus();
  }

  function refusal(answer) {
    if (answer.wait_ms > 0) {
      const seconds = Math.ceil(answer.wait_ms / 1000);
      return `密碼錯誤太多次，請等 ${seconds} 秒 Too many wrong PINs, wait ${seconds} s`;
    }
    if (answer.why === "pin") return "代號或密碼不對 Wrong staff or PIN";
    return "閘門無法記錄，不能放行 The gate cannot keep records and admits nobody";
  }

  dialog.addEventListener("change", () => {
    const other = dialog.querySelector("input[value=other]").checked;
    byId("other").hidden = !other;
    byId("other").required = other;
  });
  for (const kind of ["input", "click", "keydown"]) dialog.addEventListener(kind, stir);
  dialog.addEventListener("close", close);
  dialog.querySelector("form").addEventListener("submit", admit);
  byId("cancel").addEventListener("click", close);
  byId("staff").addEventListener("click", () => open().catch(() => {}));
}
