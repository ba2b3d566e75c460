// The parity page through a real load balancer, with the real binaries of both architectures behind it; and what it says
// when there is only one, when results differ or are missing, and when answers are no answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startLoadBalancer } from "./load_balancer.js";
import { assertNoSidewaysScroll, becomes, startBrowser, startServer, withPage } from "./support.js";

const browser = await startBrowser();
const x86 = await startServer();
const arm = await startServer({ arch: "aarch64" });
const { origin } = await startLoadBalancer([x86.origin, arm.origin]);

const badge = (page) => page.locator("#verdict .badge");
const verdict = (page) => page.locator("#verdict").innerText();
const status = (page) => page.locator("#status").innerText();
const marks = async (page) => {
  const words = await page.locator("#vectors td.mark").allInnerTexts();
  return Object.fromEntries([...new Set(words)].map((word) => [word, words.filter((other) => other === word).length]));
};
const shows = (page, text) => badge(page).filter({ hasText: text }).waitFor();
const row = (page, name) => page.locator(`#vectors tr[data-name="${name}"]`);
const answerOf = async (server) => (await fetch(`${server.origin}/api/parity`)).json();

/** Has the page's questions answered by `answer`, in turn from the first on; the last one stays. */
async function answerWith(page, ...answers) {
  let turn = 0;
  const asked = [];
  await page.route("**/api/parity", async (route) => {
    asked.push(Date.now());
    const answer = answers[Math.min(turn++, answers.length - 1)];
    if (typeof answer === "function") await answer(route);
    else await route.fulfill({ json: answer });
  });
  return asked;
}

/** Gives the page a clock that only the test moves. */
async function visit(page) {
  await page.clock.install({ time: 0 });
  await page.clock.pauseAt(1000);
  await page.goto("/parity");
}

test("behind a load balancer it hears both architectures, and they give the same", () =>
  withPage(browser, { origin }, async (page) => {
    const asked = [];
    page.on("request", (request) => request.url().endsWith("/api/parity") && asked.push(request));
    await page.goto("/parity");
    await shows(page, "The same on both");
    const { vectors, differences } = await answerOf(x86);
    assert.deepEqual(await marks(page), { same: vectors.length });
    assert.match(await verdict(page), new RegExp(`All ${vectors.length} results are the same on x86_64 and aarch64`));
    assert.match(await status(page), /Heard both architectures after \d+ questions?\./);
    assert.ok(asked.length <= 3, `${asked.length} questions`);

    const digests = async (arch) => page.locator(`#vectors td.${arch} code`).evaluateAll((all) => all.map((it) => it.textContent));
    assert.deepEqual(await digests("x86_64"), vectors.map((it) => it.expected));
    assert.deepEqual(await digests("aarch64"), vectors.map((it) => it.expected));

    // Side by side, and each from its own machine.
    const theirs = (await answerOf(arm)).differences;
    for (const [i, { name, value }] of differences.entries()) {
      const cells = page.locator(`#known tr[data-name="${name}"] td`);
      assert.deepEqual(await cells.allInnerTexts(), [value, theirs[i].value].map((it) => it.replace(/ +/g, " ")));
    }
    const sign = page.locator('#known tr[data-name="sign of char in C"] td');
    assert.deepEqual(await sign.allInnerTexts(), ["signed", "unsigned"]);
    assert.match(await page.locator("#vectors th.aarch64").innerText(), /emulated by qemu-user/);
    assert.match(await page.locator("#window").getAttribute("aria-label"), /both arches are lit$/);

    const before = asked.length;
    await page.locator("#ask").click();
    await becomes(async () => asked.length > before && /^Heard/.test(await status(page)), true, "asked again");
    await shows(page, "The same on both");
  }));

test("digests are short, and whole for those who want them", () =>
  withPage(browser, { origin }, async (page) => {
    await page.goto("/parity");
    await shows(page, "The same on both");
    const [{ name, expected }] = (await answerOf(x86)).vectors;
    const cell = row(page, name).locator("td.aarch64");
    assert.equal(await cell.innerText(), expected.slice(0, 8));
    await page.getByLabel("Show whole digests").check();
    assert.equal(await cell.innerText(), expected);
    await page.setViewportSize({ width: 390, height: 844 });
    await assertNoSidewaysScroll(page);
  }));

test("without JavaScript it is one architecture's table with its own verdict", () =>
  withPage(browser, { origin: arm.origin, javaScriptEnabled: false }, async (page) => {
    await page.goto("/parity");
    const { vectors } = await answerOf(arm);
    assert.match(await verdict(page), new RegExp(`aarch64: all ${vectors.length} as expected`));
    assert.deepEqual(await marks(page), { "as expected": vectors.length });
    assert.equal(await page.locator("#vectors td.aarch64").first().isVisible(), true);
    for (const other of await page.locator(".x86_64:is(th, td)").all()) assert.equal(await other.isVisible(), false);
    assert.equal(await page.locator("#asking").isVisible(), false);
    await page.getByLabel("Show whole digests").check();
    assert.equal(await row(page, vectors[0].name).locator("td.aarch64").innerText(), vectors[0].expected);
  }));

test("a result that differs is named, and its pane is broken", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    const wrong = await answerOf(arm);
    const [first, second] = wrong.vectors;
    first.digest = "0123456789abcdef".repeat(4);
    Object.assign(second, { digest: null, problem: "it failed: <b>out of luck</b>" });
    await answerWith(page, wrong);
    await page.goto("/parity");
    await shows(page, "Differs in 1 result");
    assert.match(await verdict(page), new RegExp(`Not the same: ${first.name}\\.`));
    assert.match(await verdict(page), new RegExp(`Not computed, and so not known: ${second.name}\\.`));
    assert.match(await row(page, first.name).innerText(), /differs\s+01234567\s+not as expected/);
    assert.match(await row(page, second.name).innerText(), /not computed\s+it failed: <b>out of luck<\/b>/);
    assert.deepEqual(await marks(page), { differs: 1, "not computed": 1, same: wrong.vectors.length - 2 });
    const broken = (arch) => page.locator(`#window .break.${arch}`).isVisible();
    assert.deepEqual([await broken("x86_64"), await broken("aarch64")], [false, true]);
    // The names lead to their rows.
    await page.locator("#verdict a").first().click();
    assert.equal(await page.locator("tr:target").getAttribute("data-name"), first.name);
  }));

test("the same on both is not enough when neither is as expected", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    const twisted = async (route) => {
      const answer = await (await route.fetch()).text();
      // The expected digest of the first result is another in the page and in the answer alike.
      const { expected } = (await answerOf(x86)).vectors[0];
      await route.fulfill({ body: answer.replaceAll(`data-expected="${expected}"`, `data-expected="${"0".repeat(64)}"`), contentType: "text/html" });
    };
    await page.route("**/parity", twisted);
    await answerWith(page, await answerOf(arm));
    await page.goto("/parity");
    await shows(page, "The same on both, and not as expected");
    assert.equal((await marks(page))["not as expected"], 1);
  }));

test("different versions of the set are not compared", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    const newer = await answerOf(arm);
    newer.version += 1;
    newer.vectors[0].digest = "f".repeat(64);
    await answerWith(page, newer);
    await page.goto("/parity");
    await shows(page, "Not comparable");
    assert.match(await verdict(page), /x86_64: 1, aarch64: 2/);
    assert.deepEqual(Object.keys(await marks(page)), ["not comparable"]);
  }));

test("two tasks of one architecture that disagree are noticed", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    const other = await answerOf(x86);
    other.vectors[4].digest = "a".repeat(64);
    await answerWith(page, other, await answerOf(arm));
    await page.goto("/parity");
    await shows(page, "Differs in 1 result");
    assert.match(await verdict(page), new RegExp(`Not the same: ${other.vectors[4].name}\\.`));
  }));

test("gives up after 40 questions when only one architecture answers, and starts over when asked to", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    const asked = await answerWith(page, await answerOf(x86));
    await visit(page);
    await page.clock.runFor(10);
    await shows(page, "Only x86_64 heard so far");
    for (let question = 1; question <= 40; question += 1) {
      await becomes(() => asked.length, question, "questions");
      if (question < 40) await becomes(() => status(page), new RegExp(`question ${question} of at most 40`), "status");
      await page.clock.runFor(50); // the answer is taken in
      await page.clock.runFor(400);
    }
    await shows(page, /^Only x86_64 heard$/);
    assert.match(await verdict(page), /gives all \d+ results as expected[^]*After 40 answers/);
    assert.match(await status(page), /Asked in vain after 40 questions\./);
    await page.clock.runFor(60_000);
    assert.equal(asked.length, 40);
    await page.locator("#ask").click();
    await page.clock.runFor(10);
    await becomes(() => asked.length, 41, "asked again");
  }));

test("waits between its questions, stops when told to, and while nobody looks", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    const asked = await answerWith(page, await answerOf(x86));
    await page.goto("/parity");
    await becomes(() => asked.length >= 4, true, "four questions");
    assert.ok(asked[3] - asked[0] >= 1100, `three pauses took only ${asked[3] - asked[0]} ms`);
    const show = (state) =>
      page.evaluate((state) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => state === "hidden" });
        document.dispatchEvent(new Event("visibilitychange"));
      }, state);
    await show("hidden");
    await sleep(100);
    const hidden = asked.length;
    await sleep(900);
    assert.equal(asked.length, hidden);
    await show("visible");
    await becomes(() => asked.length > hidden, true, "asks again when somebody looks");
    await page.locator("#ask").click();
    assert.equal(await page.locator("#ask").innerText(), "Ask again");
    const stopped = asked.length;
    await sleep(900);
    assert.equal(asked.length, stopped);
  }));

const JUNK = {
  "status 500": (route) => route.fulfill({ status: 500, json: {} }),
  "a proxy's page": (route) => route.fulfill({ contentType: "text/html", body: "<h1>Bad gateway</h1>" }),
  "JSON null": (route) => route.fulfill({ json: null }),
  "an old version's answer": (route) => route.fulfill({ json: { arch: "aarch64" } }),
  "another architecture": (route) => answerOf(arm).then((json) => route.fulfill({ json: { ...json, who: { arch: "riscv64" } } })),
  "a digest that is none": (route) =>
    answerOf(arm).then((json) => {
      json.vectors[0].digest = "<b>";
      return route.fulfill({ json });
    }),
  "ten megabytes": (route) => route.fulfill({ contentType: "application/json", body: `"${"x".repeat(10 << 20)}"` }),
  "a connection that breaks": (route) => route.abort("connectionreset"),
};
for (const [what, answer] of Object.entries(JUNK)) {
  test(`is not misled by ${what}`, () =>
    withPage(browser, { origin: x86.origin, expected: /Failed to load resource/ }, async (page) => {
      const asked = await answerWith(page, answer, await answerOf(arm));
      await page.goto("/parity");
      await shows(page, "The same on both");
      assert.equal(asked.length, 2);
      assert.match(await status(page), /after 2 questions, 1 failed\./);
    }));
}

test("gives up when every question fails", () =>
  withPage(browser, { origin: x86.origin, expected: /Failed to load resource/ }, async (page) => {
    const asked = await answerWith(page, JUNK["status 500"]);
    await visit(page);
    // In small steps, because answers come while the clock stands.
    const failed = async (count) => {
      await page.clock.runFor(100);
      return (await status(page)).includes(`${count} failed`);
    };
    for (let question = 1; question <= 5; question += 1) await becomes(() => failed(question), true, `${question} failures`);
    await page.clock.runFor(60_000);
    assert.equal(asked.length, 5);
    await shows(page, /^Only x86_64 heard$/);
  }));
