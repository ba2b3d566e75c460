// What stands out in a sample, in words: a function from a sample to findings, each with the tasks that it is about.
"use strict";
((fleet) => {
  const ENOUGH = 20; // answers before something counts as missing while more are awaited
  const MOST_LISTED = 5;

  const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
  const commitOf = (row) => (row.commit === null ? "a commit that is not known" : row.commit.slice(0, 7));
  const other = (arch) => fleet.ARCHES.find((name) => name !== arch);

  /** The rows by a key, the largest group first. */
  function groups(rows, key) {
    const found = new Map();
    for (const row of rows) found.set(key(row), [...(found.get(key(row)) ?? []), row]);
    return [...found.values()].sort((a, b) => b.length - a.length);
  }

  /** Those outside the largest group; all of them when no group is the largest. */
  function outliers([first, second, ...rest]) {
    return first.length > second.length ? [second, ...rest].flat() : [first, second, ...rest].flat();
  }

  /** "3f2a… and 9b1c…", of many the first few. */
  function list(parts) {
    const shown = parts.slice(0, MOST_LISTED);
    if (parts.length > MOST_LISTED) shown.push(`${parts.length - MOST_LISTED} more`);
    return shown.length < 2 ? shown.join() : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
  }

  function failures({ failed, answered }) {
    if (failed === 0) return [];
    const all = failed + answered;
    return [{ kind: "failures", text: `${failed} of ${plural(all, "request")} failed (${((100 * failed) / all).toFixed(1)} %).`, rows: [], mark: "" }];
  }

  function architectures({ rows, answered, further }, over) {
    const [first] = rows;
    const both = first === undefined || further.length > 0 || rows.some(({ arch }) => arch !== first.arch);
    if (both || (!over && answered < ENOUGH)) return [];
    const text = `Only ${first.arch} has answered, in ${plural(answered, "answer")}: no ${other(first.arch)} was seen.`;
    return [{ kind: "architectures", text, rows: [], mark: "" }];
  }

  function commits({ rows, answered }) {
    const all = groups(rows, (row) => row.commit);
    if (all.length < 2) return [];
    const parts = all.map((group) => {
      const count = group.reduce((sum, { times }) => sum + times.length, 0);
      return `${commitOf(group[0])} (${plural(group.length, "task")}, ${((100 * count) / answered).toFixed(1)} % of the answers)`;
    });
    const marked = outliers(all);
    const mark = marked.length < rows.length ? "another commit" : `one of ${all.length} commits`;
    const why = "A rollout is under way, or one stopped half-way.";
    return [{ kind: "commits", text: `${all.length} commits at once: ${list(parts)}. ${why}`, rows: marked, mark }];
  }

  // Each architecture has an image of its own, whose digest ECS tells unless it tells that of the index that names both:
  // digests are compared within an architecture.
  function digests({ rows }) {
    return fleet.ARCHES.flatMap((arch) => {
      const known = rows.filter((row) => row.arch === arch && row.image_digest !== null);
      const all = groups(known, (row) => row.image_digest);
      if (all.length < 2) return [];
      const builds = groups(known, (row) => row.commit).length;
      const both = groups(known, (row) => `${row.commit} ${row.image_digest}`).length;
      const why =
        builds === all.length && both === all.length
          ? "Each belongs to a commit of its own."
          : "One commit is in several images: it was built or pushed more than once, or not all images are what they claim.";
      const marked = outliers(all);
      const mark = marked.length < known.length ? "another digest" : `one of ${all.length} digests`;
      const parts = all.map((group) => `${fleet.shortDigest(group[0].image_digest)} (${plural(group.length, "task")})`);
      return [{ kind: "digests", text: `${all.length} image digests among the ${arch} tasks: ${list(parts)}. ${why}`, rows: marked, mark }];
    });
  }

  function emulated({ rows }, names) {
    return groups(rows.filter((row) => row.emulator !== null), (row) => `${row.arch} ${row.emulator}`).map((group) => {
      const [{ arch, emulator }] = group;
      const who = list(group.map((row) => names.get(row)));
      const text = `${plural(group.length, "task")} of ${arch} ${group.length === 1 ? "is" : "are"} emulated by ${emulator} (${who}): the processor underneath is not ${arch}.`;
      return { kind: "emulated", text, rows: group, mark: `emulated by ${emulator}` };
    });
  }

  function zones({ rows, answered, further }, over) {
    const both = groups(rows, (row) => row.arch).length === 2;
    if (!both || further.length > 0 || (!over && answered < ENOUGH)) return [];
    const all = groups(rows.filter((row) => row.zone !== null), (row) => row.zone);
    return fleet.ARCHES.flatMap((missing) => {
      const lacking = all.filter((group) => group.every(({ arch }) => arch !== missing));
      if (lacking.length === 0) return [];
      const where = `${lacking.length === 1 ? "Zone" : "Zones"} ${list(lacking.map(([{ zone }]) => zone).sort())}`;
      const tasks = lacking.flat();
      const silent = rows.filter((row) => row.arch === missing && row.zone === null).length;
      const but = silent > 0 ? `, unless ${silent === 1 ? "the one" : `some of the ${silent}`} that does not tell its zone runs there` : "";
      const text = `${where}: no ${missing}, only ${plural(tasks.length, "task")} of ${other(missing)}${but}.`;
      return [{ kind: "zones", text, rows: tasks, mark: `zone without ${missing}` }];
    });
  }

  function twice({ rows }, names) {
    return groups(rows, fleet.name)
      .filter((group) => group.length > 1)
      .map((group) => ({
        kind: "twice",
        text: `${names.get(group[0])} is the name of ${group.length} processes: it was restarted meanwhile, or its name is not its own.`,
        rows: group,
        mark: "one name, several processes",
      }));
  }

  function beyond({ further }) {
    if (further.length === 0) return [];
    const text = `More than ${fleet.MOST_TASKS} tasks answered. ${plural(further.length, "answer")} of further ones are counted together and not compared.`;
    return [{ kind: "beyond", text, rows: [], mark: "" }];
  }

  /** Everything that stands out. Before the sample is `over`, what has not answered yet does not count as missing. */
  function findings(sample, over) {
    const short = fleet.shortNames(sample.rows);
    const names = new Map(sample.rows.map((row, at) => [row, short[at]]));
    const all = [failures, architectures, commits, digests, (s) => emulated(s, names), zones, (s) => twice(s, names), beyond];
    return all.flatMap((find) => find(sample, over));
  }

  /** What a finding says of a row, for each finding about it. */
  const marks = (found, row) => [...new Set(found.filter(({ rows }) => rows.includes(row)).map(({ mark }) => mark))];

  /** What was looked at and found in order: a sample without digests has not shown that they agree. */
  function inOrder({ rows }) {
    const told = (name) => rows.filter((row) => row[name] !== null).length;
    const digests = told("image_digest");
    return [
      told("commit") > 0 ? "one commit" : "no commit is told",
      digests === rows.length ? "one image digest for each architecture" : digests > 0 ? "no digest differs where one is told" : "no image digest is told",
      told("zone") === rows.length ? "both architectures in every zone" : told("zone") > 0 ? "both architectures in every zone that is told" : "no zone is told",
      "none emulated",
      "no request failed",
    ].join(", ");
  }

  Object.assign(fleet, { findings, marks, inOrder, plural });
})((globalThis.biforaFleet ??= {}));
