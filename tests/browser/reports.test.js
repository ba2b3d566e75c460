// /build and /info: what they show of a rich, an empty and a hostile environment, and build info on paper.

import assert from "node:assert/strict";
import { test } from "node:test";
import { HOSTILE, RICH, SCRIPT, assertNoSidewaysScroll, startBrowser, startServer, withPage } from "./support.js";

const browser = await startBrowser();
const local = await startServer();
// A link to the commit is shown when CI means the very commit that the binary was compiled from.
const { binary: build } = await (await fetch(`${local.origin}/api/build`)).json();
const COMMIT = build.commit ?? RICH.CIRCLE_SHA1;
const rich = await startServer({ env: { ...RICH, CIRCLE_SHA1: COMMIT, CODEBUILD_RESOLVED_SOURCE_VERSION: COMMIT } });
const hostile = await startServer({ env: HOSTILE });

const HOSTS = /^(github\.com|gitlab\.com|bitbucket\.org|(app\.)?circleci\.com|[a-z0-9-]+\.console\.aws\.amazon\.com|gallery\.ecr\.aws)$/;

const headings = (page) => page.getByRole("heading", { level: 2 }).allInnerTexts();
const links = (page) => page.locator("a[href]").evaluateAll((all) => all.map((a) => a.href));

/** Every row has a label and a text: what is not known says so, and how it would be known. */
async function assertNoBlankCells(page) {
  const rows = await page
    .locator(".sections dl > div")
    .evaluateAll((all) => all.map((row) => [...row.querySelectorAll("dt, dd")].map((cell) => cell.innerText.trim())));
  assert.ok(rows.length > 5, `${rows.length} rows`);
  for (const row of rows) {
    assert.equal(row.length, 2, row.join(" | "));
    assert.ok(row[0] && row[1], `a blank cell: ${row.join(" | ")}`);
    assert.doesNotMatch(row[1], /^not known —?$/, `${row[0]} does not say how it would be known`);
  }
}

test("build info of a local build says so and blames nothing on CI", () =>
  withPage(browser, { origin: local.origin }, async (page) => {
    await page.goto("/build");
    assert.equal(await page.locator(".badge").innerText(), "local build");
    const titles = await headings(page);
    assert.match(titles[0], /this build/i);
    assert.ok(!titles.some((title) => /CircleCI|CodeBuild/.test(title)), titles.join(", "));
    assert.match(await page.locator("main").innerText(), /not known — /);
    await assertNoBlankCells(page);
  }));

test("build info of a rich environment names and links everything, in order", () =>
  withPage(browser, { origin: rich.origin }, async (page) => {
    await page.goto("/build");
    const titles = (await headings(page)).join(" > ");
    assert.match(titles, /this build.* > CircleCI > CodeBuild > image > runs on/i);
    assert.doesNotMatch(await page.locator(".badge").innerText(), /local/);
    const text = await page.locator("main").innerText();
    for (const shown of ["octavia", "42", RICH.CODEBUILD_BUILD_ID]) assert.ok(text.includes(shown), shown);
    const all = await links(page);
    for (const wanted of [
      RICH.CIRCLE_BUILD_URL,
      `https://app.circleci.com/workflow/${RICH.CIRCLE_WORKFLOW_ID}`,
      `https://app.circleci.com/pipeline/${RICH.CIRCLE_PIPELINE_ID}`,
      RICH.CIRCLE_PULL_REQUEST,
      `https://github.com/acme/bifora/commit/${COMMIT}`,
    ]) {
      assert.ok(all.includes(wanted), `${wanted} is not among ${all.join(" ")}`);
    }
    assert.ok(all.some((link) => link.startsWith("https://eu-central-1.console.aws.amazon.com/codesuite/codebuild/")));
    assert.ok(all.includes("https://gallery.ecr.aws/o5b1w9d8/bifora"));
    assert.ok(all.some((link) => link.includes(`/pipelines/bifora/executions/${RICH.CODEPIPELINE_EXECUTION_ID}/`)));
    await assertNoBlankCells(page);
  }));

test("a commit that CI and the binary disagree about is said and leads nowhere", async () => {
  const other = "0123456789abcdef0123456789abcdef01234567";
  const { origin } = await startServer({ env: { ...RICH, CIRCLE_SHA1: other } });
  await withPage(browser, { origin }, async (page) => {
    await page.goto("/build");
    if (build.commit) assert.match(await page.locator("main").innerText(), new RegExp(`${build.commit.slice(0, 7)}, but the CI variables say ${other.slice(0, 7)}`));
    assert.ok(build.commit === null || !(await links(page)).some((link) => link.includes("/commit/")));
  });
});

test("the system page tells of the machine and leaks no environment", () =>
  withPage(browser, { origin: rich.origin }, async (page) => {
    await page.goto("/info");
    const text = await page.locator("main").innerText();
    for (const wanted of [/x86_64/, /kernel/i, /CPU/, /memory/i, /page size/i, /uptime/i]) assert.match(text, wanted);
    assert.ok(!text.includes("octavia") && !text.includes(RICH.CODEBUILD_BUILD_ARN));
    await assertNoBlankCells(page);
  }));

for (const path of ["/build", "/info", "/"]) {
  test(`a hostile environment cannot break or deface ${path}`, () =>
    withPage(browser, { origin: hostile.origin, viewport: { width: 360, height: 800 } }, async (page) => {
      await page.goto(path);
      for (const link of await links(page)) {
        const { protocol, origin, hostname } = new URL(link);
        assert.ok(origin === hostile.origin || (protocol === "https:" && HOSTS.test(hostname)), `a link to ${link}`);
      }
      const injected = await page.evaluate(() => ({
        scripts: [...document.scripts].filter((s) => s.textContent || new URL(s.src).origin !== location.origin).length,
        images: document.images.length,
        headings: [...document.querySelectorAll("h1")].map((h) => h.textContent),
        // The tally's own script sets the style of the two fills.
        handlers: [...document.querySelectorAll(":not(.fill)")].filter((element) =>
          element.getAttributeNames().some((name) => /^on|^style$/.test(name)),
        ).length,
      }));
      assert.equal(injected.headings.length, 1);
      assert.doesNotMatch(injected.headings[0], /Defaced/);
      assert.deepEqual({ ...injected, headings: [] }, { scripts: 0, images: 0, headings: [], handlers: 0 });
      await assertNoSidewaysScroll(page);
    }));
}

test("hostile values are shown as the text they are", () =>
  withPage(browser, { origin: hostile.origin }, async (page) => {
    await page.goto("/build");
    const text = await page.locator("main").innerText();
    assert.ok(text.includes(SCRIPT), "the user name");
    assert.ok(text.includes("javascript:alert(1)"), "the address that is none");
    assert.ok(text.length < 30_000, `${text.length} characters`);
    await assertNoBlankCells(page);
  }));

test("on paper build info is black on white, without navigation, and with the addresses of its links", () =>
  withPage(browser, { origin: rich.origin, colorScheme: "dark" }, async (page) => {
    await page.goto("/build");
    await page.emulateMedia({ media: "print", colorScheme: "dark" });
    assert.equal(await page.locator("footer nav").isVisible(), false);
    assert.equal(await page.locator("header").isVisible(), false);
    const [paper, ink, address] = await page.evaluate(() => {
      const link = document.querySelector("dd a");
      return [
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(link).color,
        getComputedStyle(link, "::after").content,
      ];
    });
    assert.equal(paper, "rgb(255, 255, 255)");
    assert.equal(ink, "rgb(0, 0, 0)");
    assert.match(address, /https:\/\//);
    const pdf = await page.pdf({ format: "A4" });
    assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
    assert.ok(pdf.length > 10_000, `${pdf.length} bytes`);
  }));
