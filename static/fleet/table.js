// The sample as tables: a row for each task, and one for each kind of failure.
"use strict";
((fleet) => {
  const made = new WeakMap();

  const byId = (id) => document.getElementById(id);

  /** A cell with a line and a smaller second one. */
  function cell(name, ...classes) {
    const [first, second] = [fleet.element("span", classes[0]), fleet.element("small", classes[1])];
    const node = fleet.element(name, "", first, second);
    return { node, say: (text, more = "") => (fleet.setText(first, text), fleet.setText(second, more)) };
  }

  function newRow(arch) {
    const cells = {
      task: cell("th", "mono"),
      arch: cell("td"),
      build: cell("td", "", "mono"),
      digest: cell("td", "mono"),
      started: cell("td"),
      answers: cell("td", "number"),
      share: cell("td", "number"),
      p50: cell("td", "number"),
      p95: cell("td", "number"),
      marks: cell("td"),
    };
    cells.task.node.scope = "row";
    const key = fleet.element("span", `key ${arch}`);
    key.ariaHidden = "true";
    cells.arch.node.prepend(key);
    return { cells, node: fleet.element("tr", "", ...Object.values(cells).map(({ node }) => node)) };
  }

  function measure(cells, { count, share, p50, p95 }) {
    cells.answers.say(String(count));
    cells.share.say(fleet.percent(share));
    cells.p50.say(`${fleet.milliseconds(p50)} ms`);
    cells.p95.say(`${fleet.milliseconds(p95)} ms`);
  }

  /** Date and time of an RFC 3339 time in UTC; anything else as it is. */
  function moment(started) {
    const [, date, time] = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)Z$/.exec(started ?? "") ?? [];
    return date === undefined ? [started ?? "not told"] : [date, `${time} UTC`];
  }

  let others = null;

  function drawRows(sample, found) {
    const figures = fleet.figures(sample);
    const names = fleet.shortNames(sample.rows);
    const rows = sample.rows.map((row, at) => {
      if (!made.has(row)) made.set(row, newRow(row.arch));
      const { node, cells } = made.get(row);
      const cores = row.cpus === null ? "" : `, ${fleet.plural(row.cpus, "core")}`;
      const digest = row.image_digest;
      cells.task.say(names[at], row.zone ?? "zone not told");
      cells.arch.say(row.arch, `${row.cpu ?? "CPU not told"}${cores}`);
      cells.build.say(row.version ?? "not told", row.commit?.slice(0, 7) ?? "commit not told");
      cells.digest.say(digest === null ? "not told" : fleet.shortDigest(digest));
      cells.started.say(...moment(row.started));
      cells.marks.say(fleet.marks(found, row).join("; ") || "–");
      measure(cells, figures[at]);
      return node;
    });
    if (sample.further.length > 0) {
      others ??= newRow("further");
      others.cells.task.say("further tasks");
      others.cells.marks.say("counted together");
      measure(others.cells, figures.at(-1));
      rows.push(others.node);
    }
    fleet.setChildren(byId("fleet-rows"), rows);
  }

  function drawFailures({ failures }) {
    byId("fleet-failed").hidden = failures.length === 0;
    byId("fleet-failures").replaceChildren(
      ...failures.map(({ what, count }) => {
        const name = fleet.element("th", "", what);
        name.scope = "row";
        return fleet.element("tr", "", name, fleet.element("td", "number", String(count)));
      }),
    );
  }

  fleet.drawTables = (sample, found) => {
    drawRows(sample, found);
    drawFailures(sample);
  };
})((globalThis.biforaFleet ??= {}));
