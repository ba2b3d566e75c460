// The sample as files: JSON with everything, CSV (RFC 4180) with a line for each task and each kind of failure.
"use strict";
((fleet) => {
  const COLUMNS = [
    "row", "task", "instance", "hostname", "architecture", "emulator", "cpu", "cpus", "zone", "version", "commit",
    "image_digest", "started", "requests", "share_percent", "p50_ms", "p95_ms", "stands_out",
  ];

  const rounded = (ms) => (ms === null ? null : Math.round(ms * 10) / 10);

  function tasks(sample, found) {
    const figures = fleet.figures(sample);
    return sample.rows.map((row, at) => {
      const { times, latest, ...facts } = row;
      const { count, share, p50, p95 } = figures[at];
      return { ...facts, answers: count, share_percent: share, p50_ms: rounded(p50), p95_ms: rounded(p95), stands_out: fleet.marks(found, row) };
    });
  }

  /** `about`: origin, begin, end and outcome of the sample. */
  function json(sample, found, about) {
    const { asked, answered, failed, failures, further } = sample;
    const requests = { asked, answered, failed, broken_off: asked - answered - failed, of_further_tasks: further.length };
    const all = { format: 1, ...about, requests, failures, findings: found.map(({ kind, text }) => ({ kind, text })), tasks: tasks(sample, found) };
    return `${JSON.stringify(all, null, 2)}\n`;
  }

  /**
   * A field of CSV. Spreadsheets take what begins with = + - @, a tab or a line break for a formula: an apostrophe makes
   * it text (OWASP, "CSV Injection"). Numbers are our own and stay numbers.
   */
  function field(value) {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(value);
    const text = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/u.test(value) ? `'${value}` : value;
    return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function csv(sample, found) {
    const figures = fleet.figures(sample);
    const lines = tasks(sample, found).map((task) => ({
      ...task,
      row: "task",
      architecture: task.arch,
      requests: task.answers,
      stands_out: task.stands_out.join("; "),
    }));
    if (sample.further.length > 0) {
      const { count, share, p50, p95 } = figures.at(-1);
      lines.push({ row: "further tasks", requests: count, share_percent: share, p50_ms: rounded(p50), p95_ms: rounded(p95) });
    }
    for (const { what, count } of sample.failures) lines.push({ row: "failed", requests: count, stands_out: what });
    return [COLUMNS, ...lines.map((line) => COLUMNS.map((name) => line[name]))].map((line) => `${line.map(field).join(",")}\r\n`).join("");
  }

  /** `bifora-fleet-20260102T030405Z.csv`: no character that a file system refuses. */
  function fileName(time, extension) {
    const stamp = new Date(time).toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
    return `bifora-fleet-${stamp}.${extension}`;
  }

  Object.assign(fleet, { json, csv, field, fileName });
})((globalThis.biforaFleet ??= {}));
