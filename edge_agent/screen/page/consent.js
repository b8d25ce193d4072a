// The panel in which a person reads what they may agree to or take back, and says which before they tap. Left alone it closes itself.
const IDLE_MS = 45000;
const ITEMS = [
  ["蒐集者", "Who collects"], ["蒐集目的", "What for"], ["個資類別", "Which data"],
  ["利用之期間、地區、對象及方式", "How long, where, by whom and how it is used"], ["您的權利", "Your rights"],
  ["不同意的影響", "If you do not agree"],
];
const BY_FORM = ["依法須以書面同意，請洽服務台；在此可以不同意或撤回。", "By law this needs your written consent: please ask at the desk. Here you can refuse it, or take it back."];
const SAID = {
  changed: ["告知事項已更新，請重新閱讀", "This notice has changed: please read it again"],
  lost: ["閘門沒有回應，請再試一次", "No answer from the gate, please try again"],
};

// `ask` sends to the gate, `read` asks it.
export function consentPanel(ask, read) {
  const byId = (id) => document.getElementById(id);
  const dialog = byId("consent");
  let notices = [];
  let notice = null; // the one that is being read
  let idle = 0;
  let busy = false;

  function both(words, tag = "span") {
    return words.map((text, index) => {
      const element = document.createElement(tag);
      element.className = ["zh", "en"][index];
      element.lang = ["zh-Hant-TW", "en"][index];
      element.append(text);
      return element;
    });
  }

  function spaced([zh, en]) {
    return [zh, " ", en];
  }

  // --- steps ------------------------------------------------------------------------------------------------------

  async function open() {
    if (dialog.open || busy) return;
    say();
    if (await load()) {
      dialog.showModal();
      show(notices.length === 1 ? notices[0] : null);
      stir();
    }
  }

  async function load() {
    busy = true;
    try {
      notices = await read("/consents");
    } catch {
      notices = [];
    }
    busy = false;
    return notices.length > 0;
  }

  function show(chosen) {
    notice = chosen;
    byId("purposes").hidden = notice !== null;
    for (const id of ["notice", "answers"]) byId(id).hidden = notice === null;
    byId("back").hidden = notices.length === 1;
    if (notice === null) {
      byId("purposes").replaceChildren(...notices.map(button));
      byId("purposes").firstElementChild.focus();
      return;
    }
    byId("notice").replaceChildren(...texts(notice));
    byId("notice").scrollTop = 0;
    byId("agree").hidden = !notice.gives;
    byId("notice").focus();
  }

  function button(each) {
    const made = document.createElement("button");
    made.type = "button";
    made.append(...spaced(both([each.title_zh, each.title_en])));
    made.addEventListener("click", () => show(each));
    return made;
  }

  function texts(each) {
    const sections = both(["", ""], "section");
    for (const [index, section] of sections.entries()) {
      const heading = document.createElement("h3");
      heading.textContent = [each.title_zh, each.title_en][index];
      const list = document.createElement("dl");
      for (const [at, text] of [each.zh, each.en][index].entries()) {
        for (const [tag, said] of [["dt", ITEMS[at][index]], ["dd", text]]) {
          const part = document.createElement(tag);
          part.textContent = said;
          list.append(part);
        }
      }
      section.append(heading, list);
      if (!each.gives) {
        const law = document.createElement("p");
        law.textContent = BY_FORM[index];
        section.append(law);
      }
    }
    return sections;
  }

  async function answer(said) {
    if (busy || notice === null) return;
    busy = true;
    let stating = null;
    try {
      ({ stating } = await ask("/consent", { purpose: notice.purpose, version: notice.version, said }));
    } catch { /* said below */ }
    busy = false;
    if (!dialog.open) return;
    if (stating) return close();
    say(stating === null ? "lost" : "changed");
    if (stating === null) return;
    const purpose = notice.purpose;
    if (!(await load())) return close();
    show(notices.find((each) => each.purpose === purpose) || null);
  }

  function close() {
    clearTimeout(idle);
    notice = null;
    if (dialog.open) dialog.close();
  }

  function stir() {
    clearTimeout(idle);
    idle = setTimeout(close, IDLE_MS);
  }

  function say(name) {
    const words = name ? SAID[name] : ["", ""];
    [...byId("consent-said").children].forEach((element, index) => { element.textContent = words[index]; });
  }

  // What happens at the reader meanwhile covers nothing here, and is not missed.
  function meanwhile(now) {
    byId("consents").hidden = !now.can_consent || now.stating;
    if (!dialog.open) return;
    if (!now.can_consent || now.stating) return close();
    const words = now.mode === "ready" ? ["", ""] : now.headline;
    [...byId("consent-meanwhile").children].forEach((element, index) => {
      if (element.textContent !== words[index]) element.textContent = words[index];
    });
  }

  for (const kind of ["click", "keydown", "touchmove", "wheel"]) dialog.addEventListener(kind, stir, { passive: true });
  byId("notice").addEventListener("scroll", stir, { passive: true });
  dialog.addEventListener("close", close);
  byId("consents").addEventListener("click", open);
  byId("consent-cancel").addEventListener("click", close);
  byId("back").addEventListener("click", () => { say(); show(null); });
  byId("refuse").addEventListener("click", () => answer("withdrawn"));
  byId("agree").addEventListener("click", () => answer("given"));
  return { meanwhile };
}
