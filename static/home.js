// The tally of the home page: asks /api/whoami, counts which architecture answered and draws the split.
"use strict";
(() => {
  const ARCHES = ["x86_64", "aarch64"];
  const EVERY_MS = 500;
  const LIMIT = 200; // a forgotten tab must not ask for ever
  const TIMEOUT_MS = 5000;
  const SLOWEST_MS = 8000;
  const GIVE_UP = 10; // failures in a row
  const STRIP = 60;
  const KEY = "bifora.tally";

  const byId = (id) => document.getElementById(id);
  const toggle = byId("tally-toggle");
  const reset = byId("tally-reset");
  const status = byId("tally-status");
  const strip = byId("recent");

  const empty = () => ({ x86_64: 0, aarch64: 0, failed: 0, recent: [], running: true });

  // Storage may be forbidden, full, or hold what another version or a person wrote: take only what makes sense.
  function load() {
    const state = empty();
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY)) ?? {};
      for (const name of [...ARCHES, "failed"]) {
        if (Number.isSafeInteger(kept[name]) && kept[name] >= 0) state[name] = kept[name];
      }
      if (Array.isArray(kept.recent)) {
        state.recent = kept.recent.filter((name) => ARCHES.includes(name) || name === "failed").slice(-STRIP);
      }
      state.running = kept.running !== false;
    } catch {
      return empty();
    }
    return state;
  }

  function save() {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(state));
    } catch {
      // The tally then lasts as long as the page.
    }
  }

  let state = load();
  let left = LIMIT;
  let failuresInARow = 0;
  let timer = 0;
  let asking = null;

  function say(text) {
    // Setting the same text again would have it read out again.
    if (status.textContent !== text) status.textContent = text;
  }

  function draw() {
    const total = state.x86_64 + state.aarch64;
    for (const arch of ARCHES) {
      const share = total === 0 ? 0 : state[arch] / total;
      byId(`count-${arch}`).textContent = String(state[arch]);
      byId(`share-${arch}`).textContent = total === 0 ? "–" : `${(100 * share).toFixed(1)} %`;
      byId(`fill-${arch}`).style.setProperty("--share", share.toFixed(4));
    }
    byId("count-failed").textContent = String(state.failed);
    strip.replaceChildren(
      ...state.recent.map((name) => {
        const tick = document.createElement("i");
        tick.className = name;
        return tick;
      }),
    );
    toggle.textContent = state.running ? "Stop" : "Start";
  }

  function count(name) {
    state[name] += 1;
    state.recent = [...state.recent, name].slice(-STRIP);
    save();
    draw();
  }

  async function whoami(signal) {
    const response = await fetch("/api/whoami", { cache: "no-store", headers: { accept: "application/json" }, signal });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { arch } = await response.json();
    if (!ARCHES.includes(arch)) throw new Error("an architecture that is not known");
    return arch;
  }

  async function ask() {
    const mine = new AbortController();
    asking = mine;
    const tooLong = setTimeout(() => mine.abort(), TIMEOUT_MS);
    let name;
    try {
      name = await whoami(mine.signal);
    } catch {
      name = "failed";
    }
    clearTimeout(tooLong);
    if (asking !== mine) return; // stopped meanwhile: this one no longer counts
    asking = null;
    count(name);
    if (name === "failed") {
      failuresInARow += 1;
      if (failuresInARow >= GIVE_UP) return stop(`Stopped: the last ${GIVE_UP} requests failed.`);
      say("The last request failed; retrying more slowly.");
    } else {
      failuresInARow = 0;
      left -= 1;
      if (left <= 0) return stop(`Stopped after ${LIMIT} answers.`);
      say("Asking twice a second.");
    }
    next(Math.min(EVERY_MS * 2 ** failuresInARow, SLOWEST_MS));
  }

  function next(wait) {
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  function halt() {
    clearTimeout(timer);
    const open = asking;
    asking = null;
    open?.abort();
  }

  function start() {
    left = LIMIT;
    failuresInARow = 0;
    state.running = true;
    save();
    draw();
    go();
  }

  function go() {
    if (!state.running || asking !== null) return;
    if (document.hidden) return say("Paused while this tab is hidden.");
    say("Asking twice a second.");
    next(EVERY_MS);
  }

  function stop(why) {
    halt();
    state.running = false;
    save();
    draw();
    say(why);
  }

  toggle.addEventListener("click", () => (state.running ? stop("Stopped.") : start()));
  reset.addEventListener("click", () => {
    state = { ...empty(), running: state.running };
    left = LIMIT;
    save();
    draw();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && state.running) halt();
    go();
  });

  // Leaving breaks off an open question, which must not count as failed; the page may come back from the browser's memory.
  addEventListener("pagehide", halt);
  addEventListener("pageshow", (event) => event.persisted && go());

  byId("tally-plain").hidden = true;
  for (const shown of [byId("tally-live"), toggle, reset]) shown.hidden = false;
  // The page itself is an answer, too.
  const own = document.documentElement.dataset.arch;
  if (ARCHES.includes(own)) count(own);
  else draw();
  if (state.running) go();
  else say("Stopped.");
})();
