// A picture of every page, wide and narrow, light and dark, to be looked at by people.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { startLoadBalancer } from "./load_balancer.js";
import { HOSTILE, RICH, VIEWPORTS, picture, startBrowser, startServer, withPage } from "./support.js";

const browser = await startBrowser();
const x86 = await startServer();
const arm = await startServer({ arch: "aarch64" });
const rich = await startServer({ env: RICH });
const hostile = await startServer({ env: HOSTILE });
const balanced = await startLoadBalancer([x86.origin, arm.origin]);

const PICTURES = {
  "home-x86_64": [x86, "/"],
  "home-aarch64": [arm, "/"],
  "home-drawn": [x86, "/", (page) => Promise.all([page.waitForNavigation(), page.locator("#random-button").click()])],
  "home-tally": [x86, "/", split],
  "build-local": [x86, "/build"],
  "build-rich": [rich, "/build"],
  "build-hostile": [hostile, "/build"],
  "system-x86_64": [x86, "/info"],
  "system-aarch64": [arm, "/info"],
  "parity-both": [balanced, "/parity", (page) => page.getByText("The same on both", { exact: true }).waitFor()],
  "parity-one": [arm, "/parity", (page) => page.locator("#ask").click()],
  "parity-whole-digests": [balanced, "/parity", (page) => page.getByLabel("Show whole digests").check()],
  "parity-differs": [x86, "/parity", differ],
  "not-found": [x86, "/no-such-page"],
};

/** A tally of many answers without waiting for them. */
async function split(page) {
  const recent = Array.from({ length: 60 }, (_, i) => (i % 17 === 9 ? "failed" : i % 5 < 2 ? "aarch64" : "x86_64"));
  const kept = { x86_64: 61, aarch64: 38, failed: 4, recent, running: false };
  await page.evaluate((value) => sessionStorage.setItem("bifora.tally", value), JSON.stringify(kept));
  await page.reload();
}

/** As if the other architecture gave two results that are not as expected, and not all of them. */
async function differ(page) {
  const answer = await (await fetch(`${arm.origin}/api/parity`)).json();
  for (const i of [2, 6]) answer.vectors[i].digest = "0123456789abcdef".repeat(4);
  Object.assign(answer.vectors[3], { digest: null, problem: "it failed: the system gave no thread" });
  await page.route("**/api/parity", (route) => route.fulfill({ json: answer }));
  await page.reload();
  await page.getByText("Differs in 2 results").waitFor();
}

for (const [name, [server, path, then]] of Object.entries(PICTURES)) {
  test(`pictures of ${name}`, async () => {
    for (const colorScheme of ["light", "dark"]) {
      await withPage(browser, { origin: server.origin, colorScheme, expected: /status of 404/ }, async (page) => {
        await page.addInitScript(() => (sessionStorage["bifora.tally"] ??= '{"running":false}'));
        await page.goto(path);
        await then?.(page);
        for (const [width, viewport] of Object.entries(VIEWPORTS)) {
          await page.setViewportSize(viewport);
          const file = picture(`${name}-${width}-${colorScheme}.png`);
          await page.screenshot({ path: file, fullPage: true, animations: "disabled" });
          assert.ok(statSync(file).size > 10_000, file);
        }
      });
    }
  });
}

test("build info as a PDF", () =>
  withPage(browser, { origin: rich.origin }, async (page) => {
    await page.goto("/build");
    await page.pdf({ path: picture("build-rich.pdf"), format: "A4" });
  }));
