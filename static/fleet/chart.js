// The sample as a window: tasks of x86_64 in the left arch, of aarch64 in the right, each a light of its own with its
// share of the answers and its latency. The table says the same in words, so that the chart is hidden from readers.
"use strict";
((fleet) => {
  const LIGHT = "M3 38V14a11 11 0 0 1 22 0v24z";
  const FRAME = "M0 40V14a14 14 0 0 1 28 0v26z";
  const PATTERN = { x86_64: "url(#panes)", aarch64: "url(#lozenges)" };

  const byId = (id) => document.getElementById(id);

  /** A round number that is not below `value`, nor twice as large. */
  function scale(value) {
    const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
    return [1, 1.5, 2, 3, 5, 7.5, 10].map((step) => step * power).find((end) => end >= value);
  }

  /** The lights that have been made, by their rows. */
  const made = new WeakMap();

  function light(row) {
    const { drawing, element } = fleet;
    const share = drawing("rect", { class: `share ${row.arch}`, height: "100%", width: 0 });
    const pattern = drawing("rect", { fill: PATTERN[row.arch], height: "100%", width: 0 });
    const span = drawing("line", { class: "span", y1: "50%", y2: "50%" });
    const [p50, p95] = [drawing("circle", { class: "p50", cy: "50%", r: 5 }), drawing("line", { class: "p95", y1: "10%", y2: "90%" })];
    const parts = {
      share, pattern, span, p50, p95,
      window: drawing(
        "svg", { class: "light", viewBox: "0 0 28 40" },
        drawing("path", { class: "stone", d: FRAME }),
        drawing("path", { class: `glow ${row.arch}`, d: LIGHT }),
        drawing("path", { d: LIGHT, fill: PATTERN[row.arch] }),
      ),
      name: element("b", "mono"),
      zone: element("small"),
      shareText: element("span"),
      latencyText: element("span"),
      marks: element("p", "marks"),
    };
    parts.item = element(
      "li", "task", parts.window,
      element("p", "who", parts.name, parts.zone),
      element("p", "measure", drawing("svg", { class: "bar" }, share, pattern), parts.shareText),
      element("p", "measure", drawing("svg", { class: "bar" }, span, p50, p95), parts.latencyText),
      parts.marks,
    );
    return parts;
  }

  function draw(sample, found, since) {
    const { setText, setChildren, percent, milliseconds, plural } = fleet;
    const figures = fleet.figures(sample);
    const names = fleet.shortNames(sample.rows);
    const own = figures.slice(0, sample.rows.length);
    const most = scale(Math.max(...own.map(({ share }) => share), 1));
    const slowest = scale(Math.max(...own.map(({ p95 }) => p95), 1));
    const items = { x86_64: [], aarch64: [] };
    const total = { x86_64: 0, aarch64: 0 };
    sample.rows.forEach((row, at) => {
      if (!made.has(row)) made.set(row, light(row));
      const parts = made.get(row);
      const { share, p50, p95 } = own[at];
      items[row.arch].push(parts.item);
      total[row.arch] += share;
      parts.window.classList.toggle("lit", row.latest > since);
      setText(parts.name, names[at]);
      setText(parts.zone, row.zone ?? "zone not told");
      setText(parts.shareText, percent(share));
      setText(parts.latencyText, `${milliseconds(p50)} – ${milliseconds(p95)} ms`);
      setText(parts.marks, fleet.marks(found, row).join(", "));
      const width = `${(100 * share) / most}%`;
      for (const rectangle of [parts.share, parts.pattern]) rectangle.setAttribute("width", width);
      // Room for half of the largest mark on both sides.
      const place = (ms) => `${3 + (94 * ms) / slowest}%`;
      parts.span.setAttribute("x1", place(p50));
      parts.span.setAttribute("x2", place(p95));
      parts.p50.setAttribute("cx", place(p50));
      parts.p95.setAttribute("x1", place(p95));
      parts.p95.setAttribute("x2", place(p95));
    });
    for (const arch of fleet.ARCHES) {
      const tasks = items[arch].length;
      setChildren(byId(`fleet-lights-${arch}`), items[arch]);
      setText(byId(`fleet-side-${arch}`), tasks === 0 ? "no answer" : `${plural(tasks, "task")}, ${percent(total[arch])}`);
    }
    setText(byId("fleet-scales"), `Bars end at ${most} % of the answers, lines at ${slowest} ms.`);
    byId("fleet-broken").hidden = sample.failed === 0;
    setText(byId("fleet-broken-text"), `${plural(sample.failed, "request")} failed`);
  }

  fleet.drawChart = draw;
})((globalThis.biforaFleet ??= {}));
