// The parity page: asks /api/parity through the load balancer until each architecture has been heard, and lays the two
// side by side with one verdict.
"use strict";
(() => {
  const ARCHES = ["x86_64", "aarch64"];
  const EVERY_MS = 400;
  const MOST = 40; // questions; somebody else pays for the answers
  const GIVE_UP = 5; // failures in a row
  const TIMEOUT_MS = 10_000;
  const LARGEST = 1 << 20; // bytes; an answer has some 30,000
  const DIGEST = /^[0-9a-f]{64}$/;

  const byId = (id) => document.getElementById(id);
  const button = byId("ask");
  const version = Number(byId("parity").dataset.version);
  const rows = [...document.querySelectorAll("#vectors tr[data-name]")];
  const knownRows = [...document.querySelectorAll("#known tr[data-name]")];
  const own = document.documentElement.dataset.arch;

  /** The first answer of each architecture, and what later ones of the same architecture contradicted. */
  let heard = {};
  let contradicted = new Set();
  let asked = 0;
  let answers = 0;
  let failed = 0;
  let failuresInARow = 0;
  let running = false;
  let timer = 0;
  let asking = null;

  function element(name, text, className) {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  const isText = (value) => typeof value === "string" && value.length <= 1000;

  /** An answer as far as it is of use; anything else is an error. */
  function understood(value) {
    const { who, vectors, differences } = value;
    if (!ARCHES.includes(who.arch)) throw new Error("an architecture that is not known");
    if (!Number.isSafeInteger(value.version)) throw new Error("no version");
    if (!Array.isArray(vectors) || !Array.isArray(differences)) throw new Error("no lists");
    const results = new Map();
    for (const { name, digest, problem } of vectors) {
      if (!isText(name) || (digest !== null && !DIGEST.test(digest))) throw new Error("no result");
      results.set(name, { digest, problem: isText(problem) ? problem : "not computed" });
    }
    const known = new Map(differences.filter((it) => isText(it.name) && isText(it.value)).map((it) => [it.name, it.value]));
    return { arch: who.arch, emulator: isText(who.emulator) ? who.emulator : null, version: value.version, results, known };
  }

  /** The page's own table is the first answer. */
  function ofThePage() {
    const results = new Map();
    for (const row of rows) {
      const cell = row.querySelector(`td.${own}`);
      const digest = cell.querySelector("code")?.textContent ?? null;
      results.set(row.dataset.name, { digest, problem: digest === null ? cell.textContent : null });
    }
    const known = new Map(knownRows.map((row) => [row.dataset.name, row.querySelector(`td.${own}`).textContent]));
    const told = document.querySelector(`#vectors th.${own} small`).textContent.replace(/^emulated by /, "");
    return { arch: own, emulator: told || null, version, results, known };
  }

  async function bounded(response) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (let size = 0; ; ) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > LARGEST) {
        reader.cancel();
        throw new Error("an answer that is too long");
      }
      text += decoder.decode(value, { stream: true });
    }
  }

  async function parity(signal) {
    const response = await fetch("/api/parity", {
      cache: "no-store",
      mode: "same-origin",
      redirect: "error",
      headers: { accept: "application/json" },
      signal,
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return understood(JSON.parse(await bounded(response)));
  }

  function take(answer) {
    const first = heard[answer.arch];
    if (!first) {
      heard[answer.arch] = answer;
      return;
    }
    if (first.version !== answer.version) return; // a roll-out: the next question may be answered by its equal
    for (const [name, { digest }] of answer.results) {
      const before = first.results.get(name)?.digest;
      if (digest && before && digest !== before) contradicted.add(name);
    }
  }

  // Drawing

  function digest(result, expected) {
    if (!result) return [element("small", "not in its answer")];
    if (result.digest === null) return [element("small", result.problem)];
    const code = element("code", result.digest.slice(0, 8), "digest");
    code.append(element("span", result.digest.slice(8), "rest"));
    return result.digest === expected ? [code] : [code, element("small", "not as expected")];
  }

  /** What one row says of the architectures that were heard: same, differs, unexpected or missing. */
  function judge(name, expected, all) {
    const found = all.map((answer) => answer.results.get(name)?.digest ?? null);
    if (contradicted.has(name)) return "differs";
    if (found.some((it) => it !== null && it !== found.find((other) => other !== null))) return "differs";
    if (found.includes(null)) return "missing";
    return found[0] === expected ? "same" : "unexpected";
  }

  const WORDS = { differs: "differs", missing: "not computed", unexpected: "not as expected" };

  function draw() {
    const all = ARCHES.map((arch) => heard[arch]).filter(Boolean);
    const both = all.length === ARCHES.length;
    const comparable = all.every((answer) => answer.version === version);
    const found = { same: [], differs: [], missing: [], unexpected: [] };
    for (const row of rows) {
      const { name, expected } = row.dataset;
      for (const answer of all) row.querySelector(`td.${answer.arch}`).replaceChildren(...digest(answer.results.get(name), expected));
      const mark = row.querySelector("td.mark");
      const judged = judge(name, expected, all);
      found[judged].push(row);
      if (!comparable) mark.textContent = "not comparable";
      else if (judged === "same") mark.textContent = both ? "same" : "as expected";
      else mark.replaceChildren(element("b", WORDS[judged]));
    }
    for (const row of knownRows) {
      for (const { arch, known } of all) row.querySelector(`td.${arch}`).textContent = known.get(row.dataset.name) ?? "not told";
    }
    for (const { arch, emulator } of all) {
      document.querySelector(`#vectors th.${arch} small`).textContent = emulator ? `emulated by ${emulator}` : "";
    }
    byId("parity").classList.toggle("both", both);
    // The pane of whichever did not give what is expected; of both when nothing tells which of them is wrong.
    const wrong = all.filter(({ results }) =>
      rows.some(({ dataset }) => (results.get(dataset.name)?.digest ?? dataset.expected) !== dataset.expected),
    );
    const broken = comparable ? (contradicted.size > 0 && wrong.length === 0 ? all : wrong).map(({ arch }) => arch) : [];
    const picture = byId("window");
    picture.classList.toggle("both", both);
    for (const arch of ARCHES) picture.classList.toggle(`broken-${arch}`, broken.includes(arch));
    const lit = both ? "both arches are lit" : `the ${all[0].arch} arch is lit, the other is dark`;
    picture.setAttribute("aria-label", `A window with two arches; ${lit}${broken.length > 0 ? `, and a pane is broken in ${broken.join(" and ")}` : ""}`);
    sayVerdict(all, both, comparable, found);
  }

  function count(number, what) {
    return number === 1 ? `1 ${what}` : `${number} ${what}s`;
  }

  /** The names of rows, as links to them. */
  function named(before, found) {
    const line = element("p", before);
    found.forEach((row, i) => {
      const link = element("a", row.dataset.name);
      link.href = `#${row.id}`;
      line.append(i === 0 ? " " : "; ", link);
    });
    line.append(".");
    return line;
  }

  function sayVerdict(all, both, comparable, found) {
    const lines = [];
    const badge = (text) => lines.push(element("p", text, "badge"));
    const text = (words) => lines.push(element("p", words));
    const [one] = all;
    if (!comparable) {
      badge("Not comparable");
      text(`The tasks run different versions of the set (${all.map((it) => `${it.arch}: ${it.version}`).join(", ")}), as in the middle of a roll-out. Reload when it is over.`);
    } else if (both) {
      if (found.differs.length > 0) badge(`Differs in ${count(found.differs.length, "result")} of ${rows.length}`);
      else if (found.unexpected.length > 0) badge("The same on both, and not as expected");
      else if (found.missing.length > 0) badge(`The same in ${found.same.length} of ${rows.length}, the rest not computed`);
      else badge("The same on both");
      if (found.differs.length > 0) lines.push(named("Not the same:", found.differs));
      if (found.unexpected.length > 0) lines.push(named("The same, but not as expected:", found.unexpected));
      if (found.missing.length > 0) lines.push(named("Not computed, and so not known:", found.missing));
      if (found.same.length === rows.length) text(`All ${rows.length} results are the same on x86_64 and aarch64, and as expected.`);
    } else {
      const wrong = [...found.differs, ...found.unexpected];
      if (wrong.length > 0) badge(`${one.arch} differs in ${wrong.length} of ${rows.length}`);
      else badge(running ? `Only ${one.arch} heard so far` : `Only ${one.arch} heard`);
      if (wrong.length > 0) lines.push(named("Not as expected:", wrong));
      else text(`${one.arch} gives ${found.missing.length > 0 ? found.same.length : "all"} ${found.missing.length > 0 ? `of ${rows.length} ` : `${rows.length} `}results as expected.`);
      if (found.missing.length > 0) lines.push(named("Not computed, and so not known:", found.missing));
      if (!running) text(`After ${count(answers, "answer")}: either nothing else is behind this address, or a cookie leads you to the same task each time.`);
    }
    const target = byId("verdict");
    const now = lines.map((line) => line.textContent).join("\n");
    // Setting the same words again would have them read out again.
    if (target.dataset.said === now) return;
    target.dataset.said = now;
    target.replaceChildren(...lines);
  }

  function progress() {
    const failures = failed > 0 ? `, ${failed} failed` : "";
    byId("status").textContent = running
      ? `Asking through the load balancer: question ${Math.max(asked, 1)} of at most ${MOST}${failures}.`
      : `${complete() ? "Heard both architectures" : "Asked in vain"} after ${count(asked, "question")}${failures}.`;
    button.textContent = running ? "Stop asking" : "Ask again";
  }

  // Asking

  const complete = () => ARCHES.every((arch) => heard[arch]);

  async function ask() {
    const mine = new AbortController();
    asking = mine;
    asked += 1;
    progress();
    const tooLong = setTimeout(() => mine.abort(), TIMEOUT_MS);
    let answer = null;
    try {
      answer = await parity(mine.signal);
    } catch {
      // counted below; what was wrong with it is the server's log's to say
    }
    clearTimeout(tooLong);
    if (asking !== mine) return; // stopped meanwhile: this one no longer counts
    asking = null;
    if (answer === null) {
      failed += 1;
      failuresInARow += 1;
    } else {
      answers += 1;
      failuresInARow = 0;
      take(answer);
    }
    if (complete() || asked >= MOST || failuresInARow >= GIVE_UP) return stop();
    draw();
    next(EVERY_MS * 2 ** failuresInARow);
  }

  function next(wait) {
    clearTimeout(timer);
    progress();
    if (!document.hidden) timer = setTimeout(ask, wait);
  }

  function halt() {
    clearTimeout(timer);
    const open = asking;
    asking = null;
    open?.abort();
  }

  function stop() {
    halt();
    running = false;
    draw();
    progress();
  }

  function start() {
    heard = { [own]: page };
    contradicted = new Set();
    asked = answers = failed = failuresInARow = 0;
    running = true;
    draw();
    next(0);
  }

  button.addEventListener("click", () => (running ? stop() : start()));
  document.addEventListener("visibilitychange", () => {
    if (!running) return;
    halt();
    next(EVERY_MS);
  });
  // Leaving breaks off an open question, which must not count as failed; the page may come back from the browser's memory.
  addEventListener("pagehide", halt);
  addEventListener("pageshow", (event) => event.persisted && running && next(EVERY_MS));

  const page = ofThePage();
  byId("asking").hidden = false;
  start();
})();
