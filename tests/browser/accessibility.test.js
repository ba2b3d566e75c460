// What every page owes every visitor: axe finds nothing, the accessibility tree says what the picture says, and narrow,
// dark, still and high-contrast views work.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { startLoadBalancer } from "./load_balancer.js";
import {
  HOSTILE,
  RICH,
  VIEWPORTS,
  assertNoSidewaysScroll,
  startBrowser,
  startServer,
  withPage,
} from "./support.js";
import { some } from "./fleet_support.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const NOT_FOUND = /status of 404/; // the browser reports it of the page itself

const browser = await startBrowser();
const local = await startServer();
const rich = await startServer({ env: RICH });
const hostile = await startServer({ env: HOSTILE });
const arm = await startServer({ arch: "aarch64" });
const balanced = await startLoadBalancer([local.origin, arm.origin]);

const PAGES = {
  "the home page": [local, "/"],
  "the home page after the button": [local, "/", (page) => press(page)],
  "build info, local": [local, "/build"],
  "build info, rich": [rich, "/build"],
  "build info, hostile": [hostile, "/build"],
  "the system page": [local, "/info"],
  "the parity page of both": [balanced, "/parity", (page) => page.getByText("The same on both", { exact: true }).waitFor()],
  "the parity page of one": [arm, "/parity", (page) => page.locator("#ask").click()],
  "the fleet page": [local, "/fleet"],
  "the fleet page after a sample": [local, "/fleet", (page) => some(page, 3)],
  "a missing page": [local, "/no-such-page"],
};

async function press(page) {
  await Promise.all([page.waitForNavigation(), page.locator("#random-button").click()]);
}

async function open(page, [, path, then]) {
  await page.goto(path);
  await then?.(page);
}

for (const [what, entry] of Object.entries(PAGES)) {
  const { origin } = entry[0];

  test(`axe finds nothing on ${what}`, async () => {
    for (const colorScheme of ["light", "dark"]) {
      await withPage(browser, { origin, colorScheme, expected: NOT_FOUND }, async (page) => {
        await open(page, entry);
        await page.evaluate(AXE); // through the debugger: the page's own policy would refuse a script element
        for (const viewport of Object.values(VIEWPORTS)) {
          await page.setViewportSize(viewport);
          const { violations, passes } = await page.evaluate(() => window.axe.run(document));
          const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((n) => n.html).join("\n  ")}`);
          assert.deepEqual(found, [], `${colorScheme}, ${viewport.width}px`);
          assert.ok(passes.some(({ id }) => id === "color-contrast"), "axe has looked");
        }
      });
    }
  });

  test(`no sideways scrolling on ${what}`, () =>
    withPage(browser, { origin, expected: NOT_FOUND }, async (page) => {
      await open(page, entry);
      for (const width of [320, 360, 390, 705, 1024, 1920]) {
        await page.setViewportSize({ width, height: 800 });
        await assertNoSidewaysScroll(page);
      }
    }));

  test(`dark is dark on ${what}`, () =>
    withPage(browser, { origin, colorScheme: "dark", expected: NOT_FOUND }, async (page) => {
      await open(page, entry);
      const brightness = () =>
        page.evaluate(() => {
          const of = (colour) => colour.match(/\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
          const { backgroundColor, color } = getComputedStyle(document.body);
          return [of(backgroundColor), of(color)];
        });
      const [paper, ink] = await brightness();
      assert.ok(paper < 0.2 && ink > 0.8, `paper ${paper}, ink ${ink}`);
      await page.emulateMedia({ colorScheme: "light" });
      const [lightPaper, lightInk] = await brightness();
      assert.ok(lightPaper > 0.8 && lightInk < 0.3, `paper ${lightPaper}, ink ${lightInk}`);
    }));
}

/** The tree that a screen reader walks, as text. */
const tree = (page) => page.locator("body").ariaSnapshot();

function assertInOrder(text, parts) {
  let from = 0;
  for (const part of parts) {
    const at = text.indexOf(part, from);
    assert.ok(at >= 0, `"${part}" is missing or out of order in\n${text}`);
    from = at + part.length;
  }
}

const FOOT = ["- contentinfo:", '- navigation "Pages":', '- link "Home":', '- link "Build info":', '- link "System":'];

test("a screen reader's view of the home page", () =>
  withPage(browser, { origin: local.origin }, async (page) => {
    await page.goto("/");
    assertInOrder(await tree(page), [
      '- link "Skip to content":',
      "- banner:",
      '- link "Bifora":',
      "- main:",
      "The x86_64 arch is lit, the other is dark.",
      '- heading "Currently running on x86_64" [level=1]',
      '- heading "Who answered" [level=2]',
      "- term: Host name",
      "- term: CPU",
      "- term: Version",
      "- term: Commit",
      '- heading "Try it" [level=2]',
      '- button "Hit the button"',
      '- heading "Which arch answers?" [level=2]',
      "- table",
      '- rowheader "x86_64"',
      '- rowheader "aarch64"',
      '- rowheader "failed"',
      '- button "Stop"',
      '- button "Reset"',
      ...FOOT,
    ]);
  }));

test("a screen reader's view of build info", () =>
  withPage(browser, { origin: rich.origin }, async (page) => {
    await page.goto("/build");
    assertInOrder(await tree(page), [
      "- main:",
      '- heading "Build info" [level=1]',
      "the x86_64 arch is lit",
      "[level=2]",
      "- term: Version",
      '- heading "CircleCI" [level=2]',
      '- heading "CodeBuild" [level=2]',
      "- definition",
      ...FOOT,
    ]);
  }));

test("a screen reader's view of the system page", () =>
  withPage(browser, { origin: local.origin }, async (page) => {
    await page.goto("/info");
    assertInOrder(await tree(page), ["- main:", '- heading "System" [level=1]', "the x86_64 arch is lit", "[level=2]", "- term: ", "- definition", ...FOOT]);
  }));

test("a screen reader's view of the parity page", () =>
  withPage(browser, { origin: balanced.origin }, async (page) => {
    await page.setViewportSize(VIEWPORTS[390]); // laid out as a grid, and a table all the same
    await page.goto("/parity");
    await page.getByText("The same on both", { exact: true }).waitFor();
    assertInOrder(await tree(page), [
      "- main:",
      '- heading "Parity" [level=1]',
      "- status:",
      "The same on both",
      "both arches are lit",
      '- button "Ask again"',
      '- heading "What must be the same" [level=2]',
      '- checkbox "Show whole digests"',
      '- table "What must be the same":',
      '- columnheader "x86_64"',
      '- columnheader "Verdict"',
      '- columnheader "aarch64',
      '- rowheader "Integers"',
      '- rowheader "integers that wrap around',
      '- cell "same"',
      '- heading "What may differ" [level=2]',
      '- table "What may differ":',
      '- rowheader "page size',
      "- cell",
      ...FOOT,
    ]);
  }));

test("a screen reader's view of the fleet page", () =>
  withPage(browser, { origin: local.origin }, async (page) => {
    await page.goto("/fleet");
    assertInOrder(await tree(page), [
      "- main:",
      '- heading "Fleet" [level=1]',
      '- heading "Ask the fleet" [level=2]',
      '- combobox "Requests"',
      '- button "Start"',
      '- heading "Who answered this request" [level=2]',
      "- table",
      '- columnheader "Image digest"',
      ...FOOT,
    ]);
    await some(page, 3);
    assertInOrder(await tree(page), [
      '- button "Start again"',
      '- progressbar "Requests that have ended"',
      "- status: Stopped.",
      '- heading "What stands out" [level=2]',
      '- listitem: "Only x86_64 has answered, in',
      '- heading "Tasks" [level=2]',
      '- group "Tasks"',
      '- columnheader "p95"',
      '- button "Save as JSON"',
      '- button "Save as CSV"',
      ...FOOT,
    ]);
  }));

test("a screen reader's view of a missing page", () =>
  withPage(browser, { origin: local.origin, expected: NOT_FOUND }, async (page) => {
    const response = await page.goto("/no-such-page");
    assert.equal(response.status(), 404);
    assertInOrder(await tree(page), [
      "- main:",
      "404",
      "[level=1]",
      '- link "Back to the home page":',
      '- img "Both arches are dark and a pane is broken"',
      ...FOOT,
    ]);
  }));

test("nothing moves for those who ask for reduced motion", () =>
  withPage(browser, { origin: local.origin, reducedMotion: "reduce" }, async (page) => {
    await page.goto("/");
    const moving = () =>
      page.evaluate(() =>
        [...document.querySelectorAll("*")]
          .map((element) => getComputedStyle(element))
          .filter((style) => /[1-9]/.test(style.transitionDuration) || style.animationName !== "none").length,
      );
    assert.equal(await moving(), 0);
    await page.emulateMedia({ reducedMotion: "no-preference" });
    assert.ok((await moving()) > 0, "the light of the tally moves for others");
  }));

test("with the system's colours the arches keep an outline and the heading its text", () =>
  withPage(browser, { origin: local.origin, forcedColors: "active" }, async (page) => {
    await page.goto("/");
    const arches = await page
      .locator(".arch")
      .evaluateAll((all) => all.map((arch) => parseFloat(getComputedStyle(arch).borderTopWidth)));
    assert.deepEqual(arches.map((width) => width >= 1), [true, true]);
    assert.ok(await page.getByRole("heading", { level: 1 }).isVisible());
  }));
