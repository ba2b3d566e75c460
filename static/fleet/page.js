// The page /fleet: its buttons, and when to ask, draw and tell.
"use strict";
((fleet) => {
  const DRAW_EVERY_MS = 500; // slower than what flashes (WCAG 2.3.1: no more than three times a second)
  const COUNTS = [50, 200, 1000];
  const IDS = [
    "plain", "without", "live", "form", "count", "toggle", "meter", "progress", "progress-text", "status", "results", "found-title", "found",
    "nothing", "lights-x86_64", "lights-aarch64", "side-x86_64", "side-aarch64", "scales", "broken", "broken-text", "rows",
    "failed", "failures", "json", "csv",
  ];

  function main() {
    // During a rollout the script may be of another version than the page: then the page stays what it is without.
    const nodes = Object.fromEntries(IDS.map((id) => [id, document.getElementById(`fleet-${id}`)]));
    if (Object.values(nodes).includes(null)) return;

    const { setText, setChildren, element, plural } = fleet;
    let sample = fleet.empty();
    let asker = null;
    let wanted = 0;
    let timer = 0;
    let drawn = 0;
    let about = {};

    /** What stands out now; what is missing counts only when nothing more is to come. */
    const findings = () => fleet.findings(sample, asker === null);

    function draw() {
      const running = asker !== null;
      const found = findings();
      const settled = sample.answered + sample.failed;
      nodes.progress.max = wanted;
      nodes.progress.value = settled;
      setText(nodes["progress-text"], `${settled} of ${wanted}`);
      setText(nodes["found-title"], running ? "What stands out so far" : "What stands out");
      const texts = found.map(({ text }) => text);
      const shown = [...nodes.found.children].map((item) => item.textContent);
      if (texts.join("\n") !== shown.join("\n")) setChildren(nodes.found, texts.map((text) => element("li", "", text)));
      nodes.nothing.hidden = found.length > 0;
      setText(nodes.nothing, sample.answered === 0 ? "Nothing has answered yet." : `Nothing: ${fleet.inOrder(sample)}.`);
      // While it runs, a window is lit that has answered since the last drawing; in the end, each that has answered.
      fleet.drawChart(sample, found, running ? drawn : 0);
      drawn = sample.answered;
      fleet.drawTables(sample, found);
      for (const button of [nodes.json, nodes.csv]) button.disabled = settled === 0;
    }

    function start() {
      // A form that the browser filled in from another version of the page may hold anything.
      wanted = COUNTS.find((count) => String(count) === nodes.count.value) ?? 200;
      sample = fleet.empty();
      drawn = 0;
      about = { origin: location.origin, begun: new Date().toISOString(), ended: null, outcome: "running" };
      asker = fleet.start(wanted, told, ended);
      nodes.count.disabled = true;
      nodes.plain.hidden = true;
      nodes.meter.hidden = false;
      nodes.results.hidden = false;
      setText(nodes.toggle, "Stop");
      setText(nodes.status, `Asking ${wanted} times.`);
      draw();
      timer = setInterval(draw, DRAW_EVERY_MS);
    }

    function told({ answer, failure, ms }) {
      if (failure === undefined) fleet.answered(sample, answer, ms);
      else fleet.failed(sample, failure);
    }

    function ended(reason) {
      clearInterval(timer);
      sample.asked = asker.asked();
      asker = null;
      about = { ...about, ended: new Date().toISOString(), outcome: reason };
      nodes.count.disabled = false;
      setText(nodes.toggle, "Start again");
      draw();
      const { asked, answered, failed } = sample;
      const why = {
        done: "Done.",
        failing: `Stopped: the last ${fleet.GIVE_UP} requests failed.`,
        hidden: "Stopped, because the page was hidden.",
      }[reason] ?? "Stopped.";
      const broken = asked - answered - failed;
      const parts = [`${plural(answered, "answer")} from ${plural(sample.rows.length, "task")}`, `${failed} failed`];
      if (broken > 0) parts.push(`${broken} broken off`);
      const found = findings().length;
      const stands = found === 0 ? "" : ` ${plural(found, "thing stands", "things stand")} out.`;
      setText(nodes.status, `${why} ${parts.join(", ")}.${stands}`);
    }

    function save(text, mediaType, extension) {
      const address = URL.createObjectURL(new Blob([text], { type: `${mediaType};charset=utf-8` }));
      const link = element("a");
      link.href = address;
      link.download = fleet.fileName(about.ended ?? Date.now(), extension);
      link.click();
      // The download has its own hold of the data once it has begun, which is not yet.
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    }

    nodes.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (asker === null) start();
      else asker.stop("stopped");
    });
    nodes.json.addEventListener("click", () => {
      sample.asked = asker?.asked() ?? sample.asked;
      save(fleet.json(sample, findings(), about), "application/json", "json");
    });
    nodes.csv.addEventListener("click", () => save(fleet.csv(sample, findings()), "text/csv", "csv"));
    document.addEventListener("visibilitychange", () => document.hidden && asker?.stop("hidden"));
    addEventListener("pagehide", () => asker?.stop("left"));

    nodes.without.hidden = true;
    nodes.live.hidden = false;
  }

  if (globalThis.document) document.addEventListener("DOMContentLoaded", main);
})((globalThis.biforaFleet ??= {}));
