// The tally of the home page: counting, the split, failures, and its limits. Time is the test's own where it can be.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { becomes, startBalancer, startBrowser, startServer, withPage } from "./support.js";

const KEY = "bifora.tally";
const browser = await startBrowser();
const { origin } = await startServer();

const count = async (page, name) => Number(await page.locator(`#count-${name}`).innerText());
const status = (page) => page.locator("#tally-status").innerText();
const share = (page, arch) => page.locator(`#share-${arch}`).innerText();
const light = (page, arch) =>
  page.locator(`#fill-${arch}`).evaluate((fill) => Number(fill.style.getPropertyValue("--share")));

/** Gives the page a clock that only the test moves, and a tally that starts by itself or not. */
async function visit(page, { running = true } = {}) {
  await page.clock.install({ time: 0 });
  await page.clock.pauseAt(1000);
  if (!running) await page.addInitScript((key) => (sessionStorage[key] ??= '{"running":false}'), KEY);
  await page.goto("/");
}

/** Moves the clock by one question and waits for its outcome. */
async function ask(page, name, wait = 500) {
  const before = await count(page, name);
  await page.clock.fastForward(wait);
  await becomes(() => count(page, name), before + 1, `${name} after a question`);
}

test("asks no more than twice a second in real time", () =>
  withPage(browser, { origin }, async (page) => {
    const asked = [];
    page.on("request", (request) => request.url().endsWith("/api/whoami") && asked.push(Date.now()));
    await page.goto("/");
    await becomes(() => asked.length >= 5, true, "five questions");
    const seconds = (asked[4] - asked[0]) / 1000;
    assert.ok(seconds >= 1.8, `four pauses took only ${seconds} s`);
    assert.equal(await count(page, "aarch64"), 0);
    assert.equal(await count(page, "failed"), 0);
    assert.equal(await share(page, "x86_64"), "100.0 %");
  }));

test("starts, stops and resets", () =>
  withPage(browser, { origin }, async (page) => {
    await visit(page, { running: false });
    const toggle = page.locator("#tally-toggle");
    assert.equal(await page.locator("#tally-plain").isVisible(), false);
    assert.equal(await count(page, "x86_64"), 1, "the page itself is an answer");
    await page.clock.fastForward(5000);
    assert.equal(await count(page, "x86_64"), 1);

    assert.equal(await toggle.innerText(), "Start");
    await toggle.click();
    assert.equal(await toggle.innerText(), "Stop");
    await ask(page, "x86_64");
    await ask(page, "x86_64");

    await toggle.click();
    assert.equal(await status(page), "Stopped.");
    await page.clock.fastForward(5000);
    assert.equal(await count(page, "x86_64"), 3);

    await page.locator("#tally-reset").click();
    assert.equal(await count(page, "x86_64"), 0);
    assert.equal(await share(page, "x86_64"), "–");
    assert.equal(await light(page, "x86_64"), 0);
    await toggle.click();
    await ask(page, "x86_64");
    assert.equal(await light(page, "x86_64"), 1);
  }));

test("behind a load balancer both arches answer, and a refresh moves the light", async () => {
  const other = await startServer({ arch: "aarch64" });
  const balancer = await startBalancer([origin, other.origin]);
  await withPage(browser, { origin: balancer }, async (page) => {
    await visit(page, { running: false });
    const lit = () =>
      page.evaluate(() => [
        document.querySelector("h1").textContent,
        Math.sign(document.querySelector("h1").getBoundingClientRect().left - innerWidth / 2),
        getComputedStyle(document.querySelector(`.arch.${document.documentElement.dataset.arch}`)).backgroundImage,
      ]);
    const [left, leftSide, blue] = await lit();
    await page.reload();
    const [right, rightSide, amber] = await lit();
    assert.deepEqual([left, right], ["Currently running on x86_64", "Currently running on aarch64"]);
    assert.deepEqual([leftSide, rightSide], [-1, 1]);
    assert.notEqual(blue, amber);
    assert.equal(await count(page, "x86_64"), 1);
    assert.equal(await count(page, "aarch64"), 1);

    await page.locator("#tally-toggle").click();
    for (const arch of ["x86_64", "aarch64", "x86_64", "aarch64", "x86_64", "aarch64"]) await ask(page, arch);
    assert.equal(await share(page, "x86_64"), "50.0 %");
    assert.equal(await light(page, "aarch64"), 0.5);
    await page.reload();
    assert.equal(await count(page, "x86_64"), 5, "what was counted outlives a refresh");
    assert.equal(await page.locator("#tally-toggle").innerText(), "Stop", "and so does that it runs");
    assert.equal(await share(page, "aarch64"), "44.4 %");
  });
});

test("stops by itself after 200 answers", () =>
  withPage(browser, { origin }, async (page) => {
    await page.route("**/api/whoami", (route) => route.fulfill({ json: { arch: "aarch64" } }));
    await visit(page);
    for (let answer = 0; answer < 200; answer += 1) await ask(page, "aarch64");
    assert.match(await status(page), /stopped after 200 answers/i);
    assert.equal(await page.locator("#tally-toggle").innerText(), "Start");
    await page.clock.fastForward(60_000);
    assert.equal(await count(page, "aarch64"), 200);
    await page.locator("#tally-toggle").click();
    await ask(page, "aarch64");
  }));

const FAILURES = {
  "status 500": (route) => route.fulfill({ status: 500, json: { arch: "x86_64" } }),
  "a page instead of JSON": (route) => route.fulfill({ contentType: "text/html", body: "<h1>x86_64</h1>" }),
  "another architecture": (route) => route.fulfill({ json: { arch: "riscv64" } }),
  "the name of an object's own property": (route) => route.fulfill({ json: { arch: "constructor" } }),
  "JSON null": (route) => route.fulfill({ body: "null", contentType: "application/json" }),
  "a connection that breaks": (route) => route.abort("connectionreset"),
};
for (const [what, answer] of Object.entries(FAILURES)) {
  test(`counts as failed: ${what}`, () =>
    withPage(browser, { origin, expected: /Failed to load resource/ }, async (page) => {
      await page.route("**/api/whoami", answer);
      await visit(page);
      await ask(page, "failed");
      assert.match(await status(page), /failed/i);
      assert.equal(await count(page, "x86_64"), 1, "only the page itself");
      assert.equal(await share(page, "x86_64"), "100.0 %", "failures are no part of the split");
    }));
}

test("asks more slowly while questions fail, recovers, and gives up in the end", () =>
  withPage(browser, { origin, expected: /Failed to load resource/ }, async (page) => {
    await page.route("**/api/whoami", FAILURES["status 500"]);
    await visit(page);
    await ask(page, "failed");
    await page.clock.fastForward(900);
    await sleep(100);
    assert.equal(await count(page, "failed"), 1, "the second question waits longer than the first");
    await ask(page, "failed", 200);
    await page.unroute("**/api/whoami");
    await ask(page, "x86_64", 8000);
    assert.match(await status(page), /twice a second/i);

    await page.route("**/api/whoami", FAILURES["status 500"]);
    for (let failure = 0; failure < 10; failure += 1) await ask(page, "failed", 8000);
    assert.match(await status(page), /stopped: the last 10 requests failed/i);
    await page.clock.fastForward(60_000);
    assert.equal(await count(page, "failed"), 12);
  }));

test("a question without an answer is given up", () =>
  withPage(browser, { origin }, async (page) => {
    await page.route("**/api/whoami", () => {});
    await visit(page);
    await page.clock.fastForward(600);
    await ask(page, "failed", 6000);
  }));

test("leaving the page in the middle of a question is no failure", () =>
  withPage(browser, { origin }, async (page) => {
    await page.route("**/api/whoami", () => {});
    await visit(page);
    const asked = page.waitForRequest("**/api/whoami");
    await page.clock.fastForward(600);
    await asked;
    await page.reload();
    assert.equal(await count(page, "failed"), 0);
    assert.equal(await count(page, "x86_64"), 2);
  }));

test("pauses while the tab is hidden", () =>
  withPage(browser, { origin }, async (page) => {
    await visit(page);
    await ask(page, "x86_64");
    const show = (state) =>
      page.evaluate((state) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => state === "hidden" });
        document.dispatchEvent(new Event("visibilitychange"));
      }, state);
    await show("hidden");
    assert.match(await status(page), /paused/i);
    const before = await count(page, "x86_64");
    await page.clock.fastForward(10_000);
    assert.equal(await count(page, "x86_64"), before);
    await show("visible");
    await ask(page, "x86_64");
  }));

for (const [what, kept] of Object.entries({
  "no JSON": "{",
  "null": "null",
  "a list": "[1,2]",
  "hostile figures": '{"x86_64":-5,"aarch64":"<b>","failed":1e400,"recent":["<b>",7],"running":true}',
})) {
  test(`copes with ${what} in the storage`, () =>
    withPage(browser, { origin }, async (page) => {
      await page.addInitScript(([key, value]) => sessionStorage.setItem(key, value), [KEY, kept]);
      await visit(page);
      assert.equal(await count(page, "x86_64"), 1);
      assert.equal(await count(page, "aarch64"), 0);
      assert.equal(await count(page, "failed"), 0);
      await ask(page, "x86_64");
    }));
}

test("copes without a storage", () =>
  withPage(browser, { origin }, async (page) => {
    await page.addInitScript(() =>
      Object.defineProperty(window, "sessionStorage", {
        get() {
          throw new DOMException("forbidden", "SecurityError");
        },
      }),
    );
    await visit(page);
    await ask(page, "x86_64");
    assert.equal(await count(page, "x86_64"), 2);
  }));
