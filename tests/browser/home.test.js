// The home page: what it says, its button, the keyboard, and a visit without JavaScript.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startBrowser, startServer, withPage } from "./support.js";

const browser = await startBrowser();
const { origin } = await startServer();

const randomText = (page) => page.locator("#random-text").innerText();

test("says which architecture it runs on, in the largest type on the page", () =>
  withPage(browser, { origin }, async (page) => {
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 });
      await page.goto("/");
      const heading = page.getByRole("heading", { level: 1 });
      assert.equal(await heading.count(), 1);
      assert.equal(await heading.textContent(), "Currently running on x86_64");
      assert.equal((await heading.innerText()).trim(), "Currently running on x86_64");
      const [ofHeading, ofTheRest] = await page.evaluate(() => {
        const size = (element) => parseFloat(getComputedStyle(element).fontSize);
        const heading = document.querySelector("h1");
        const rest = [...document.body.querySelectorAll("*")].filter((e) => !heading.contains(e) && !e.contains(heading));
        return [size(heading), Math.max(...rest.map(size))];
      });
      assert.ok(ofHeading > ofTheRest, `${ofHeading}px against ${ofTheRest}px at ${width}px`);
    }
  }));

test("tells who answered, version and commit", () =>
  withPage(browser, { origin }, async (page) => {
    await page.goto("/");
    const whoami = await (await page.request.get("/api/whoami")).json();
    const facts = await page.locator(".facts").innerText();
    for (const label of ["Host name", "CPU", "Version", "Commit"]) assert.match(facts, new RegExp(`^${label}$`, "m"));
    assert.ok(facts.includes(whoami.version), facts);
    assert.ok(facts.includes(whoami.hostname), facts);
    assert.ok(facts.includes(whoami.commit?.slice(0, 7) ?? "unknown"), facts);
  }));

test("three clicks give three different texts and a plain visit brings the invitation back", () =>
  withPage(browser, { origin }, async (page) => {
    await page.goto("/");
    const invitation = await randomText(page);
    assert.match(invitation, /button/i);
    const texts = new Set();
    for (let click = 0; click < 3; click += 1) {
      const [response] = await Promise.all([page.waitForNavigation(), page.locator("#random-button").click()]);
      assert.equal(response.status(), 200);
      assert.equal(response.request().method(), "POST");
      assert.equal(new URL(page.url()).pathname, "/");
      const text = await randomText(page);
      assert.match(text, /^[A-Za-z0-9]{5,15}$/);
      texts.add(text);
    }
    assert.equal(texts.size, 3, [...texts].join(" "));
    await page.goto("/");
    assert.equal(await randomText(page), invitation);
    await page.reload();
    assert.equal(await randomText(page), invitation);
  }));

test("works by keyboard alone, with the focus always to be seen", () =>
  withPage(browser, { origin }, async (page) => {
    await page.addInitScript(() => sessionStorage.setItem("bifora.tally", '{"running":false}'));
    await page.goto("/");
    const focused = () =>
      page.evaluate(async () => {
        await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))); // scrolled into view
        const element = document.activeElement;
        const style = getComputedStyle(element);
        const box = element.getBoundingClientRect();
        return {
          name: element.id || element.textContent.trim(),
          ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
          inView: box.top >= 0 && box.bottom <= innerHeight && box.width > 0,
          target: Math.min(box.width, box.height),
        };
      });
    const order = ["Skip to content", "Bifora", "random-button", "Every task that answers", "Do both give the same results?", "tally-toggle", "tally-reset"];
    for (const name of [...order, "Home", "Fleet", "Build info", "System", "Parity", "API"]) {
      await page.keyboard.press("Tab");
      const focus = await focused();
      assert.equal(focus.name, name);
      assert.ok(focus.ring >= 2 && focus.inView, `the focus on ${name} cannot be seen: ${JSON.stringify(focus)}`);
      assert.ok(focus.target >= 24, `${name} is a target of ${focus.target}px`);
    }

    await page.goto("/");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.equal((await focused()).name, "main");
    await page.keyboard.press("Tab");
    assert.equal((await focused()).name, "random-button", "the skip link leads past the header");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    assert.match(await randomText(page), /^[A-Za-z0-9]{5,15}$/);

    await page.locator("#tally-reset").focus();
    for (let tab = 0; tab < 9 && (await focused()).name !== "Build info"; tab += 1) await page.keyboard.press("Tab");
    await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
    assert.equal(new URL(page.url()).pathname, "/build");
    assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Build info");
  }));

test("works without JavaScript, says refresh and shows no dead button", () =>
  withPage(browser, { origin, javaScriptEnabled: false }, async (page) => {
    await page.goto("/");
    assert.match(await page.locator("#tally").innerText(), /refresh/i);
    assert.equal(await page.getByRole("button").count(), 1);
    assert.equal(await page.locator("#tally-live").isVisible(), false);
    await Promise.all([page.waitForNavigation(), page.locator("#random-button").click()]);
    assert.match(await randomText(page), /^[A-Za-z0-9]{5,15}$/);
    await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Build info", exact: true }).click()]);
    assert.equal(new URL(page.url()).pathname, "/build");
  }));

test("an emulated server says so", async () => {
  const emulated = await startServer({ arch: "aarch64" });
  await withPage(browser, { origin: emulated.origin }, async (page) => {
    await page.goto("/");
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Currently running on aarch64");
    assert.match(await page.locator("main").innerText(), /emulated by .*qemu/i);
  });
});
