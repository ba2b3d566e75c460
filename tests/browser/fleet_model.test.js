// The model of /fleet without a browser: who is who, percentiles and shares, what stands out, and the exported files.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import "../../static/fleet/model.js";
import "../../static/fleet/findings.js";
import "../../static/fleet/export.js";

const fleet = globalThis.biforaFleet;
const [SHA, OTHER] = ["1".repeat(40), "2".repeat(40)];
const digest = (digit) => `sha256:${digit.repeat(64)}`;

/** What /api/whoami answers of a task; anything can be changed. */
const whoami = (task, changes) => ({
  arch: "x86_64",
  emulator: null,
  hostname: `host-${task}`,
  cpu: "AMD EPYC",
  cpus: 2,
  instance: `instance-${task}`,
  started: "2026-01-02T03:04:05Z",
  task,
  zone: "a",
  version: "0.1.0",
  commit: SHA,
  image_digest: digest("a"),
  ...changes,
});
const arm = (task, changes) => whoami(task, { arch: "aarch64", cpu: "Neoverse-N1", image_digest: digest("b"), ...changes });

/** A sample in which each of `answers` came `times` times. */
function sampleOf(answers, times = 10) {
  const sample = fleet.empty();
  for (let time = 0; time < times; time += 1) for (const answer of answers) fleet.answered(sample, fleet.read(answer), 1 + time);
  sample.asked = sample.answered;
  return sample;
}

const HEALTHY = [whoami("t1"), whoami("t2", { zone: "b" }), arm("t3"), arm("t4", { zone: "b" })];

describe("what is an answer", () => {
  for (const [what, value] of Object.entries({
    nothing: null,
    "a number": 7,
    "a text": "x86_64",
    "a list": ["x86_64"],
    "an empty object": {},
    "another architecture": { arch: "riscv64", version: "1" },
    "the name of an object's own property": { arch: "constructor", version: "1" },
    "no version": { arch: "x86_64" },
    "a version that is no text": { arch: "x86_64", version: { toString: "x" } },
  })) {
    test(`not ${what}`, () => assert.equal(fleet.read(value), null));
  }

  test("an older build's, which has fewer facts", () => {
    const answer = fleet.read({ arch: "aarch64", version: "0.0.9", hostname: "ip-10-0-0-1" });
    assert.deepEqual([answer.task, answer.instance, answer.commit, answer.cpus], [null, null, null, null]);
    assert.equal(fleet.name(answer), "ip-10-0-0-1");
  });

  test("with facts of other types, which are then not known", () => {
    const answer = fleet.read(whoami({ a: 1 }, { cpus: -3, zone: ["a"], commit: 7, cpu: "", emulator: false }));
    assert.deepEqual([answer.task, answer.cpus, answer.zone, answer.commit, answer.cpu, answer.emulator], [null, null, null, null, null, null]);
  });

  for (const [raw, clean] of [
    ["  a \n\t b ", "a b"],
    ["a\u202eb\u0007c\u200bd\u2800e\ud800f", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf"],
    [" \n ", null],
    ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["x".repeat(5000), `${"x".repeat(200)}…`],
    ["\u{1f600}".repeat(201), `${"\u{1f600}".repeat(200)}…`],
  ]) {
    test(`text as one bounded line: ${JSON.stringify(raw.slice(0, 30))}`, () => assert.equal(fleet.clean(raw), clean));
  }
});

describe("who is who", () => {
  const names = (...answers) => sampleOf(answers, 3).rows.map(fleet.name);

  test("a task goes by its task, elsewhere by its instance", () => {
    assert.deepEqual(names(whoami("t1"), whoami(null, { zone: "b", instance: "i2" })), ["t1", "i2"]);
  });

  test("what a process learns of its task does not make it another, in whatever order the answers come", () => {
    const before = whoami(null, { zone: null, image_digest: null, instance: "i", hostname: "h" });
    const after = { ...before, task: "t1", zone: "a", image_digest: digest("a") };
    for (const answers of [[before, after], [after, before]]) {
      const { rows } = sampleOf(answers);
      assert.deepEqual(rows.map((row) => [fleet.name(row), row.zone, row.times.length]), [["t1", "a", 20]]);
    }
  });

  test("two processes of one task, or one name with two commits, are two rows", () => {
    assert.deepEqual(names(whoami("t1"), whoami("t1", { instance: "i2" })), ["t1", "t1"]);
    assert.deepEqual(names(whoami("t1"), whoami("t1", { commit: OTHER })), ["t1", "t1"]);
  });

  test("the order is by architecture, zone and name, whoever answered first", () => {
    assert.deepEqual(names(...HEALTHY.toReversed()), ["t1", "t2", "t3", "t4"]);
  });

  test("short names stay different where the names are", () => {
    const rows = ["abcdefgh0001", "abcdefgh0002", "zzzzzzzzzzzz"].map((task) => whoami(task));
    assert.deepEqual(fleet.shortNames(rows), ["abcdefgh0001", "abcdefgh0002", "zzzzzzzzzzzz"]);
    assert.deepEqual(fleet.shortNames(rows.slice(1)), ["abcdefgh", "zzzzzzzz"]);
    assert.deepEqual(fleet.shortNames([rows[0], rows[0]]), ["abcdefgh", "abcdefgh"]);
  });

  test("a hundred tasks are told apart, further ones are counted together", () => {
    const many = Array.from({ length: 130 }, (_, i) => whoami(`task-${i}`));
    const sample = sampleOf(many, 2);
    assert.equal(sample.rows.length, 100);
    assert.equal(sample.further.length, 60);
    const figures = fleet.figures(sample);
    assert.equal(figures.length, 101);
    assert.equal(figures.reduce((sum, { count }) => sum + count, 0), 260);
    assert.match(fleet.findings(sample, true).at(-1).text, /More than 100 tasks answered. 60 answers/);
  });

  test("kinds of failures are bounded, their number is not lost", () => {
    const sample = fleet.empty();
    for (let failure = 0; failure < 50; failure += 1) fleet.failed(sample, `kind ${failure}`);
    fleet.failed(sample, "kind 3");
    assert.equal(sample.failures.length, 20);
    assert.equal(sample.failures.reduce((sum, { count }) => sum + count, 0), 51);
    assert.equal(sample.failures[3].count, 2);
    assert.equal(sample.failures.at(-1).what, "other failures");
  });
});

describe("figures", () => {
  const upTo = (last) => Array.from({ length: last }, (_, i) => i + 1);
  for (const [values, p50, p95] of [
    [[], null, null],
    [[7], 7, 7],
    [[9, 3], 3, 9],
    [upTo(20), 10, 19],
    [upTo(100).toReversed(), 50, 95],
    [[5, 5, 5, 5], 5, 5],
    [[100, 9, 20], 20, 100],
  ]) {
    test(`percentiles of ${values.length} values`, () => {
      assert.deepEqual([fleet.percentile(values, 50), fleet.percentile(values, 95)], [p50, p95]);
    });
  }

  test("a percentile is a value that so many do not exceed, and the smallest such one", () => {
    for (let round = 0; round < 300; round += 1) {
      const values = Array.from({ length: 1 + Math.floor(Math.random() * 60) }, () => Math.floor(Math.random() * 30));
      for (const percent of [1, 50, 95, 100]) {
        const found = fleet.percentile(values, percent);
        const enough = (limit) => values.filter((value) => value <= limit).length * 100 >= percent * values.length;
        const smallest = Math.min(...values.filter(enough));
        assert.equal(found, smallest, `p${percent} of ${values}`);
      }
    }
  });

  for (const [counts, shares] of [
    [[], []],
    [[0, 0], [0, 0]],
    [[5], [1000]],
    [[1, 1, 1], [334, 333, 333]],
    [[2, 1], [667, 333]],
    [Array(7).fill(1), [143, 143, 143, 143, 143, 143, 142]],
  ]) {
    test(`shares of ${counts}`, () => assert.deepEqual(fleet.shares(counts), shares));
  }

  test("shares add up to 100 % and are none of them a tenth off", () => {
    for (let round = 0; round < 300; round += 1) {
      const counts = Array.from({ length: 1 + Math.floor(Math.random() * 101) }, () => 1 + Math.floor(Math.random() * 50));
      const total = counts.reduce((sum, count) => sum + count);
      const shares = fleet.shares(counts);
      assert.equal(shares.reduce((sum, share) => sum + share), 1000);
      shares.forEach((share, at) => assert.ok(Math.abs(share - (1000 * counts[at]) / total) < 1));
    }
  });
});

describe("what stands out", () => {
  /** Kind, words in the text, and the mark of each marked task. */
  const CASES = {
    "nothing in a healthy fleet": [HEALTHY],
    "nothing when ECS tells of each image the digest of the index": [HEALTHY.map((each) => ({ ...each, image_digest: digest("c") }))],
    "nothing where nothing is told": [HEALTHY.map((each) => ({ ...each, task: null, zone: null, image_digest: null, commit: null }))],
    "two commits, the smaller group marked": [
      [...HEALTHY, whoami("t5", { commit: OTHER })],
      ["commits", /^2 commits at once: 1111111 \(4 tasks, 80.0 % of the answers\) and 2222222 \(1 task, 20.0 % of the answers\)/, { t5: "another commit" }],
    ],
    "two commits, one for each architecture": [
      [whoami("t1"), arm("t2", { commit: OTHER })],
      ["commits", /^2 commits at once/, { t1: "one of 2 commits", t2: "one of 2 commits" }],
    ],
    "a commit that is not known beside one that is": [
      [whoami("t1"), whoami("t2"), arm("t3", { commit: null })],
      ["commits", /1111111 \(2 tasks.*a commit that is not known \(1 task/, { t3: "another commit" }],
    ],
    "two digests of one commit": [
      [...HEALTHY, whoami("t5", { image_digest: digest("e") })],
      ["digests", /^2 image digests among the x86_64 tasks: a{12}… \(2 tasks\) and e{12}… \(1 task\)\. One commit is in several images/, { t5: "another digest" }],
    ],
    "two digests, no majority": [
      [...HEALTHY.slice(0, 3), arm("t4", { zone: "b", image_digest: digest("e") })],
      ["digests", /among the aarch64 tasks/, { t3: "one of 2 digests", t4: "one of 2 digests" }],
    ],
    "two digests of two commits": [
      [...HEALTHY, whoami("t5", { image_digest: digest("e"), commit: OTHER })],
      ["commits", /^2 commits/, { t5: "another commit" }],
      ["digests", /Each belongs to a commit of its own/, { t5: "another digest" }],
    ],
    "a digest that is not told is no other digest": [[...HEALTHY, whoami("t5", { image_digest: null })]],
    "an emulated task": [
      [...HEALTHY, arm("t5", { emulator: "qemu-user" })],
      ["emulated", /^1 task of aarch64 is emulated by qemu-user \(t5\): the processor underneath is not aarch64/, { t5: "emulated by qemu-user" }],
    ],
    "two emulated tasks": [
      [whoami("t1"), arm("t2", { emulator: "qemu-user" }), arm("t3", { emulator: "qemu-user" })],
      ["emulated", /^2 tasks of aarch64 are emulated by qemu-user \(t2 and t3\)/, { t2: "emulated by qemu-user", t3: "emulated by qemu-user" }],
    ],
    "a zone without one of the architectures": [
      [...HEALTHY, whoami("t5", { zone: "c" })],
      ["zones", /^Zone c: no aarch64, only 1 task of x86_64\.$/, { t5: "zone without aarch64" }],
    ],
    "each zone without another architecture": [
      [whoami("t1"), arm("t2", { zone: "b" })],
      ["zones", /^Zone b: no x86_64/, { t2: "zone without x86_64" }],
      ["zones", /^Zone a: no aarch64/, { t1: "zone without aarch64" }],
    ],
    "two zones without an architecture that has a task of unknown zone": [
      [whoami("t1"), whoami("t2", { zone: "b" }), arm("t3", { zone: null })],
      ["zones", /^Zones a and b: no aarch64, only 2 tasks of x86_64, unless the one that does not tell its zone/, { t1: "zone without aarch64", t2: "zone without aarch64" }],
    ],
    "only one architecture": [
      [whoami("t1"), whoami("t2", { zone: "b" })],
      ["architectures", /^Only x86_64 has answered, in 20 answers: no aarch64 was seen\.$/, {}],
    ],
    "one name for two processes": [
      [...HEALTHY, whoami("t1", { instance: "i2" })],
      ["twice", /^t1 is the name of 2 processes/, { t1: "one name, several processes" }],
    ],
  };
  for (const [what, [answers, ...wanted]] of Object.entries(CASES)) {
    test(what, () => {
      const sample = sampleOf(answers);
      const found = fleet.findings(sample, true);
      assert.deepEqual(found.map(({ kind }) => kind), wanted.map(([kind]) => kind), JSON.stringify(found.map(({ text }) => text)));
      wanted.forEach(([, text, marks], at) => {
        assert.match(found[at].text, text);
        assert.deepEqual(Object.fromEntries(found[at].rows.map((row) => [fleet.name(row), found[at].mark])), marks);
      });
      for (const row of sample.rows) {
        const all = found.filter(({ rows }) => rows.includes(row)).map(({ mark }) => mark);
        assert.deepEqual(fleet.marks(found, row), [...new Set(all)]);
      }
    });
  }

  test("failed requests", () => {
    const sample = sampleOf(HEALTHY);
    for (let failure = 0; failure < 10; failure += 1) fleet.failed(sample, "status 502");
    assert.deepEqual(fleet.findings(sample, true).map(({ text }) => text), ["10 of 50 requests failed (20.0 %)."]);
  });

  test("what is missing is said after some answers, or when no more are to come", () => {
    const kinds = (answers, times, over) => fleet.findings(sampleOf(answers, times), over).map(({ kind }) => kind);
    assert.deepEqual(kinds([whoami("t1")], 19, false), []);
    assert.deepEqual(kinds([whoami("t1")], 20, false), ["architectures"]);
    assert.deepEqual(kinds([whoami("t1")], 1, true), ["architectures"]);
    assert.deepEqual(kinds([whoami("t1"), arm("t2", { zone: "b" })], 9, false), []);
    assert.deepEqual(kinds([whoami("t1"), arm("t2", { zone: "b" })], 10, false), ["zones", "zones"]);
    assert.deepEqual(kinds([], 1, true), [], "nothing is known of nobody");
  });

  test("the order of the answers changes nothing", () => {
    const answers = Object.values(CASES).flatMap(([each]) => each);
    const texts = (list) => fleet.findings(sampleOf(list, 1), true).map(({ kind, rows }) => [kind, rows.length]);
    assert.deepEqual(texts(answers.toReversed()), texts(answers));
  });

  for (const [what, answers, words] of [
    ["everything is told", HEALTHY, "one commit, one image digest for each architecture, both architectures in every zone, none emulated, no request failed"],
    ["little is told", CASES["nothing where nothing is told"][0], "no commit is told, no image digest is told, no zone is told, none emulated, no request failed"],
    ["some tell", [...HEALTHY, whoami("t5", { image_digest: null, zone: null })], "one commit, no digest differs where one is told, both architectures in every zone that is told, none emulated, no request failed"],
  ]) {
    test(`nothing stands out, and what that means when ${what}`, () => {
      const sample = sampleOf(answers);
      assert.deepEqual(fleet.findings(sample, true), []);
      assert.equal(fleet.inOrder(sample), words);
    });
  }
});

describe("files", () => {
  for (const [value, written] of [
    [null, ""],
    ["", ""],
    [12.5, "12.5"],
    ["plain", "plain"],
    ["a,b", '"a,b"'],
    ['a "b"', '"a ""b"""'],
    ["a\r\nb", '"a\r\nb"'],
    ['=HYPERLINK("http://evil.example","x")', `"'=HYPERLINK(""http://evil.example"",""x"")"`],
    ["+1", "'+1"],
    ["-1+1", "'-1+1"],
    ["@SUM(A1)", "'@SUM(A1)"],
    ["\t=1", "'\t=1"],
    ["\r=1", `"'\r=1"`],
    ["\uff1d1", "'\uff1d1"],
    ["a=1", "a=1"],
  ]) {
    test(`a field of CSV: ${JSON.stringify(value)}`, () => assert.equal(fleet.field(value), written));
  }

  const hostile = whoami('=cmd|"/C calc"!A1', { cpu: 'a,"b"\n', zone: "@z", hostname: "-h" });
  const sample = sampleOf([...HEALTHY, hostile]);
  fleet.failed(sample, "status 503, not from Bifora");
  sample.asked = sample.answered + 2;
  const found = fleet.findings(sample, true);

  test("CSV has a line for each task and each kind of failure", () => {
    const text = fleet.csv(sample, found);
    assert.ok(text.endsWith("\r\n"));
    const [header, ...lines] = text.trimEnd().split("\r\n");
    const columns = header.split(",");
    assert.deepEqual(columns.slice(0, 2), ["row", "task"]);
    assert.equal(lines.length, 6);
    assert.equal(lines.filter((line) => line.startsWith("task,")).length, 5);
    assert.match(lines.find((line) => line.includes("cmd|")), /^task,"'=cmd\|""\/C calc""!A1",.*,'-h,x86_64,,"a,""b""",2,'@z,/);
    assert.match(lines.at(-1), /^failed,+1,+"status 503, not from Bifora"$/);
  });

  test("JSON has everything, as text", () => {
    const all = JSON.parse(fleet.json(sample, found, { origin: "http://alb.example" }));
    assert.equal(all.format, 1);
    assert.equal(all.origin, "http://alb.example");
    assert.deepEqual(all.requests, { asked: 52, answered: 50, failed: 1, broken_off: 1, of_further_tasks: 0 });
    assert.deepEqual(all.failures, [{ what: "status 503, not from Bifora", count: 1 }]);
    assert.deepEqual(all.findings.map(({ kind }) => kind), ["failures", "zones"]);
    const task = all.tasks.find((each) => each.task === "t1");
    const { stands_out, answers, share_percent, p50_ms, p95_ms, ...facts } = task;
    assert.deepEqual(facts, whoami("t1"));
    assert.deepEqual([stands_out, answers, share_percent, p50_ms, p95_ms], [[], 10, 20, 5, 10]);
    assert.equal(all.tasks.find(({ zone }) => zone === "@z").task, '=cmd|"/C calc"!A1');
  });

  test("names of files carry the time and no character that a file system refuses", () => {
    assert.equal(fleet.fileName("2026-01-02T03:04:05.678Z", "csv"), "bifora-fleet-20260102T030405Z.csv");
  });
});
