// Goes to the agent's page as soon as there is one: this file is #PORT when the kiosk's browser opens it.
"use strict";

const page = `http://127.0.0.1:${Number(location.hash.slice(1)) || 8460}/`;

async function look() {
  try {
    await fetch(page, { mode: "no-cors", cache: "no-store" });
    location.replace(page);
  } catch {
    setTimeout(look, 1000);
  }
}

look();
