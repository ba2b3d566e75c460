// A sample of the fleet: which tasks answered, how often and how fast. It knows nothing of the page, so that the tests run
// it as it is.
"use strict";
((fleet) => {
  const ARCHES = ["x86_64", "aarch64"];
  const MOST_TASKS = 100; // rows that a page can show; answers of further tasks are counted together
  const MOST_FAILURES = 20; // kinds of them
  const LONGEST = 200; // characters of a text

  // What cannot change in a process, and what it may learn after its start, from ECS metadata.
  const FIXED = ["arch", "emulator", "hostname", "cpu", "cpus", "instance", "started", "version", "commit"];
  const LEARNED = ["task", "zone", "image_digest"];

  /** Foreign text as one bounded line without what hides or reorders its neighbours; null when nothing is left. */
  function clean(value) {
    if (typeof value !== "string") return null;
    const shown = value.slice(0, 10 * LONGEST).replace(/\s+/gu, " ").trim();
    const characters = [...shown.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/gu, "\ufffd")];
    if (characters.length > LONGEST) return `${characters.slice(0, LONGEST).join("")}…`;
    return characters.join("") || null;
  }

  /** An answer of /api/whoami; null for what is none. Older builds tell neither instance nor start. */
  function read(value) {
    if (typeof value !== "object" || value === null) return null;
    const { arch, cpus } = value;
    if (!ARCHES.includes(arch) || typeof value.version !== "string") return null;
    const answer = { arch, cpus: Number.isSafeInteger(cpus) && cpus > 0 ? cpus : null };
    for (const name of [...FIXED, ...LEARNED]) answer[name] ??= clean(value[name]);
    return answer;
  }

  const empty = () => ({ asked: 0, answered: 0, failed: 0, rows: [], further: [], failures: [] });

  /** Whether two answers may be of one process. What only one of them tells may have been learned in between. */
  function alike(row, answer) {
    return (
      FIXED.every((name) => row[name] === answer[name]) &&
      LEARNED.every((name) => row[name] === null || answer[name] === null || row[name] === answer[name])
    );
  }

  function answered(sample, answer, ms) {
    sample.answered += 1;
    let row = sample.rows.find((row) => alike(row, answer));
    if (row === undefined) {
      if (sample.rows.length === MOST_TASKS) return sample.further.push(ms);
      row = { ...answer, times: [], latest: 0 };
      sample.rows.push(row);
      sample.rows.sort(inOrder);
    }
    for (const name of LEARNED) row[name] ??= answer[name];
    row.times.push(ms);
    row.latest = sample.answered;
  }

  function failed(sample, what) {
    sample.failed += 1;
    const known = sample.failures.find((failure) => failure.what === what);
    if (known !== undefined) known.count += 1;
    else if (sample.failures.length < MOST_FAILURES) sample.failures.push({ what, count: 1 });
    else sample.failures[MOST_FAILURES - 1] = { what: "other failures", count: sample.failures[MOST_FAILURES - 1].count + 1 };
  }

  /** By architecture, zone and name: the order of the first answers would change from sample to sample. */
  function inOrder(a, b) {
    const keys = (row) => [ARCHES.indexOf(row.arch), row.zone ?? "~", name(row), row.started ?? ""];
    const [left, right] = [keys(a), keys(b)];
    const first = left.findIndex((key, at) => key !== right[at]);
    return first < 0 ? 0 : left[first] < right[first] ? -1 : 1;
  }

  /** What tells a task from others: its id, outside ECS the random id of its process. */
  const name = (row) => row.task ?? row.instance ?? row.hostname ?? "not named";

  /** The names, cut to so few characters, eight or more, that different ones stay different. */
  function shortNames(rows) {
    const names = rows.map(name);
    const all = new Set(names).size;
    let length = 8;
    while (length < LONGEST && new Set(names.map((each) => each.slice(0, length))).size < all) length += 4;
    return names.map((each) => each.slice(0, length));
  }

  /** The beginning of a digest, as engines show it. */
  const shortDigest = (digest) => (digest.length > 20 ? `${digest.replace(/^sha256:/, "").slice(0, 12)}…` : digest);

  /** The nearest rank: the smallest value that `percent` of all values do not exceed; null of none. */
  function percentile(values, percent) {
    if (values.length === 0) return null;
    const sorted = Float64Array.from(values).sort();
    return sorted[Math.max(Math.ceil((percent / 100) * sorted.length), 1) - 1];
  }

  /** Shares in tenths of a percent that add up to 1000: what rounding leaves goes to the largest remainders. */
  function shares(counts) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return counts.map(() => 0);
    const exact = counts.map((count) => (1000 * count) / total);
    const rounded = exact.map(Math.floor);
    const left = 1000 - rounded.reduce((sum, share) => sum + share, 0);
    const byRemainder = exact.map((share, at) => [share - rounded[at], at]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    for (const [, at] of byRemainder.slice(0, left)) rounded[at] += 1;
    return rounded;
  }

  /** What to show of each task, and of those beyond the bound together: count, share, p50 and p95. */
  function figures(sample) {
    const times = sample.rows.map((row) => row.times);
    if (sample.further.length > 0) times.push(sample.further);
    const tenths = shares(times.map((each) => each.length));
    return times.map((each, at) => ({
      count: each.length,
      share: tenths[at] / 10,
      p50: percentile(each, 50),
      p95: percentile(each, 95),
    }));
  }

  Object.assign(fleet, { ARCHES, MOST_TASKS, clean, read, empty, answered, failed, name, shortNames, shortDigest, percentile, shares, figures });
})((globalThis.biforaFleet ??= {}));
