// A picture of every page, wide and narrow, light and dark, to be looked at by people.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { digest, settled, some, start, startProxy, startTask } from "./fleet_support.js";
import { startLoadBalancer } from "./load_balancer.js";
import { HOSTILE, RICH, VIEWPORTS, picture, startBrowser, startServer, withPage } from "./support.js";

const browser = await startBrowser();
const x86 = await startServer();
const arm = await startServer({ arch: "aarch64" });
const rich = await startServer({ env: RICH });
const hostile = await startServer({ env: HOSTILE });
const balanced = await startLoadBalancer([x86.origin, arm.origin]);

// A fleet as it should be but for the emulation, and one in the middle of a rollout that goes wrong.
const [left, right, rebuilt] = await Promise.all([
  startTask({ arch: "x86_64", task: "4d1c9a0b2e3f4a5b8c7d6e5f4a3b2c1d", zone: "eu-central-1a", digest: digest("a") }),
  startTask({ arch: "aarch64", task: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", zone: "eu-central-1a", digest: digest("b") }),
  startTask({ arch: "x86_64", task: "77aa66bb55cc44dd33ee22ff11001122", zone: "eu-central-1c", digest: digest("c") }),
]);
const old = await startProxy(right.origin, (who, response, n) => {
  Object.assign(who, { task: "5e5e5e5e111122223333444455556666", commit: "0123456789abcdef0123456789abcdef01234567", image_digest: digest("d") });
  if (n % 5 === 3) response.writeHead(500, { "content-type": "application/problem+json" }).end("{}");
});
const fleet = await startLoadBalancer([left.origin, right.origin]);
const trouble = await startLoadBalancer([left, right, rebuilt, old].map((server) => server.origin));

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
  "fleet-before": [left, "/fleet"],
  "fleet-running": [fleet, "/fleet", (page) => start(page, 1000).then(() => settled(page, 12))],
  "fleet-trouble": [trouble, "/fleet", (page) => some(page, 40)],
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
      await withPage(browser, { origin: server.origin, colorScheme, expected: /status of (404|500)/ }, async (page) => {
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
