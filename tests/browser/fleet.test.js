// The page /fleet behind a real load balancer: what it shows of each task, what stands out, its limits, its files, and what
// is left of it when its script does not run.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { digest, over, sample, settled, some, start, startProxy, startTask } from "./fleet_support.js";
import { startLoadBalancer } from "./load_balancer.js";
import { assertNoSidewaysScroll, startBrowser, startServer, withPage } from "./support.js";

const NOISE = /Failed to load resource/; // the browser reports failed requests, which these tests provoke
const ZONE = "eu-central-1a";
const browser = await startBrowser();
const [x86, arm] = await Promise.all([
  startTask({ arch: "x86_64", task: "4d1c9a0b2e3f4a5b8c7d6e5f4a3b2c1d", zone: ZONE, digest: digest("a") }),
  startTask({ arch: "aarch64", task: "0a1b2c3d4e5f60718293a4b5c6d7e8f9", zone: ZONE, digest: digest("b") }),
]);
const pair = await startLoadBalancer([x86.origin, arm.origin]);

const status = (page) => page.locator("#fleet-status").innerText();
const findings = (page) => page.locator("#fleet-found li").allInnerTexts();
const failures = (page) =>
  page.locator("#fleet-failures tr").evaluateAll((rows) => rows.map((row) => [row.cells[0].innerText, Number(row.cells[1].innerText)]));

/** The rows of the table, each cell as its lines. */
const cells = (page) =>
  page.locator("#fleet-rows tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.split(/\s*\n\s*/))));

/** The most of these times that are within a second. */
const mostInASecond = (times) => Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + 1000).length));

test("samples both architectures through the load balancer and shows what they are", () =>
  withPage(browser, { origin: pair.origin }, async (page) => {
    let asked = 0;
    page.on("request", (request) => (asked += request.url().endsWith("/api/whoami") ? 1 : 0));
    await page.goto("/fleet");
    await sleep(300);
    assert.equal(asked, 0, "nothing is asked before the button is pressed");
    assert.equal(await page.locator("#fleet-results").isVisible(), false);
    await sample(page, 50);
    assert.equal(asked, 50);
    assert.equal(await status(page), "Done. 50 answers from 2 tasks, 0 failed. 1 thing stands out.");

    const rows = await cells(page);
    const facts = await Promise.all([x86, arm].map(async ({ origin }) => (await fetch(`${origin}/api/whoami`)).json()));
    assert.equal(rows.length, 2);
    rows.forEach(([task, arch, build, image, started], at) => {
      const who = facts[at];
      assert.deepEqual(task, [who.task.slice(0, 8), ZONE]);
      assert.deepEqual(arch, [who.arch, `${who.cpu}, ${who.cpus} ${who.cpus === 1 ? "core" : "cores"}`]);
      assert.deepEqual(build, [who.version, who.commit?.slice(0, 7) ?? "commit not told"]);
      assert.deepEqual(image, [`${who.image_digest.slice(7, 19)}…`]);
      assert.equal(started.join("T").replace(" UTC", "Z"), who.started);
    });
    const counts = rows.map((row) => Number(row[5]));
    assert.deepEqual(counts, [25, 25], "the load balancer takes turns");
    for (const [p50, p95] of rows.map((row) => row.slice(7, 9).map(Number.parseFloat))) assert.ok(p50 > 0 && p95 >= p50, `${p50}, ${p95}`);
    assert.deepEqual(rows.map((row) => row[9]), [["–"], [`emulated by ${facts[1].emulator}`]]);
    assert.deepEqual(await findings(page), [
      `1 task of aarch64 is emulated by ${facts[1].emulator} (0a1b2c3d): the processor underneath is not aarch64.`,
    ]);
    assert.equal(await page.locator("#fleet-failed").isVisible(), false);
  }));

test("draws each task on its side, as long as its share, with the pattern of its architecture", async () => {
  const three = await startLoadBalancer([x86.origin, x86.origin, arm.origin]);
  await withPage(browser, { origin: three.origin }, async (page) => {
    await page.goto("/fleet");
    await some(page, 12);
    const shares = (await cells(page)).map((row) => row[6][0]);
    const [left, right] = shares.map(Number.parseFloat);
    assert.ok(left > 1.4 * right && Math.round(10 * (left + right)) === 1000, `${shares}`);
    const lights = await page.locator(".task").evaluateAll((all) =>
      all.map((task) => {
        const [share, pattern] = task.querySelectorAll("rect");
        const side = task.closest(".side").querySelector("p").textContent;
        return { side, width: share.getBoundingClientRect().width, fill: getComputedStyle(share).fill, pattern: pattern.getAttribute("fill"), text: task.innerText };
      }),
    );
    assert.deepEqual(lights.map(({ side }) => side), [`x86_641 task, ${shares[0]}`, `aarch641 task, ${shares[1]}`]);
    assert.ok(Math.abs(lights[0].width / lights[1].width - left / right) < 0.05, JSON.stringify(lights));
    assert.notEqual(lights[0].fill, lights[1].fill);
    assert.deepEqual(lights.map(({ pattern }) => pattern), ["url(#panes)", "url(#lozenges)"]);
    lights.forEach(({ text }, at) => assert.ok(text.includes(shares[at]), text));
    assert.equal(await page.locator(".light.lit").count(), 2);
    assert.equal(await page.locator("[style]").count(), 0, "the policy allows no style of its own");
  });
});

test("asks no more than ten times a second and four at once, exactly as often as it says, and without cookies", async () => {
  let [open, most] = [0, 0];
  const slow = async () => {
    open += 1;
    most = Math.max(most, open);
    await sleep(350);
    open -= 1;
  };
  const proxies = [await startProxy(x86.origin, slow), await startProxy(arm.origin)];
  const { origin } = await startLoadBalancer(proxies.map((proxy) => proxy.origin));
  await withPage(browser, { origin }, async (page) => {
    await page.context().addCookies([{ name: "AWSALB", value: "pinned", url: origin }]);
    await page.goto("/fleet");
    await sample(page, 50);
    const asked = proxies.flatMap((proxy) => proxy.asked);
    assert.equal(asked.length, 50);
    const begun = await page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/api/whoami")).map(({ startTime }) => startTime));
    assert.equal(begun.length, 50);
    assert.ok(mostInASecond(begun) <= 10, `${mostInASecond(begun)} begun in a second`);
    // On their way here they may be held up and then come together, but not all of them.
    const came = asked.map(({ at }) => at).sort((a, b) => a - b);
    assert.ok(came.at(-1) - came[0] >= 4900, `50 came within ${came.at(-1) - came[0]} ms`);
    assert.ok(mostInASecond(came) <= 14, `${mostInASecond(came)} came in a second`);
    assert.ok(most >= 2 && most <= 4, `${most} at once`);
    assert.deepEqual(asked.filter(({ headers }) => headers.cookie !== undefined), []);
    await sleep(500);
    assert.equal(proxies.flatMap((proxy) => proxy.asked).length, 50, "and then no more");
  });
});

test("four at once, when no answer comes, and each is given up in the end", async () => {
  const proxy = await startProxy(x86.origin, () => new Promise(() => {}));
  await withPage(browser, { origin: proxy.origin }, async (page) => {
    await page.goto("/fleet");
    await start(page, 50);
    await sleep(2000);
    assert.equal(proxy.asked.length, 4);
    await settled(page, 4);
    await page.locator("#fleet-toggle").click();
    await over(page);
    const [[what, count]] = await failures(page);
    assert.equal(what, "no answer within 5 s");
    assert.ok(count >= 4, `${count}`);
  });
});

/** What ends a sample early, with the words that the page then has. */
const ENDS = {
  "the stop button": [(page) => page.locator("#fleet-toggle").click(), /^Stopped\. /],
  "the keyboard": [(page) => page.locator("#fleet-toggle").press("Enter"), /^Stopped\. /],
  "a hidden page": [
    (page) =>
      page.evaluate(() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
        document.dispatchEvent(new Event("visibilitychange"));
      }),
    /^Stopped, because the page was hidden\. /,
  ],
};
for (const [what, [end, words]] of Object.entries(ENDS)) {
  test(`${what} ends a sample at once, and what was seen stays`, async () => {
    const proxy = await startProxy(x86.origin, () => sleep(150));
    await withPage(browser, { origin: proxy.origin }, async (page) => {
      await page.goto("/fleet");
      await start(page, 200);
      assert.equal(await page.locator("#fleet-toggle").innerText(), "Stop");
      assert.equal(await page.locator("#fleet-count").isDisabled(), true);
      await settled(page, 5);
      await end(page);
      await over(page);
      const asked = proxy.asked.length;
      assert.match(await status(page), words);
      const [, answers, broken] = /(\d+) answers from 1 task, 0 failed(?:, (\d+) broken off)?\./.exec(await status(page));
      assert.equal(Number(answers) + Number(broken ?? 0), asked, await status(page));
      await sleep(600);
      assert.equal(proxy.asked.length, asked, "nothing more is asked");
      assert.equal((await cells(page))[0][5][0], answers);
      const { requests } = JSON.parse((await download(page, "json"))[1]);
      assert.deepEqual(requests, { asked, answered: Number(answers), failed: 0, broken_off: Number(broken ?? 0), of_further_tasks: 0 });
      assert.equal(await page.locator("#fleet-count").isDisabled(), false);
    });
  });
}

test("leaving the page ends the sample", async () => {
  const proxy = await startProxy(x86.origin);
  await withPage(browser, { origin: proxy.origin }, async (page) => {
    await page.addInitScript(() => (sessionStorage["bifora.tally"] = '{"running":false}'));
    await page.goto("/fleet");
    await start(page, 200);
    await settled(page, 5);
    await page.goto("/");
    const asked = proxy.asked.length;
    await sleep(600);
    assert.equal(proxy.asked.length, asked);
    await page.goBack();
    await sleep(300);
    assert.equal(proxy.asked.length, asked, "coming back does not start it again");
  });
});

test("a new start is a new sample", () =>
  withPage(browser, { origin: pair.origin }, async (page) => {
    await page.goto("/fleet");
    await start(page, 200);
    await settled(page, 6);
    await page.locator("#fleet-toggle").click();
    await over(page);
    await sample(page, 50);
    assert.match(await status(page), /^Done\. 50 answers/);
    assert.equal(await page.locator("#fleet-progress-text").innerText(), "50 of 50");
  }));

test("the failures of a killed server are shown, not hidden", async () => {
  const victim = await startServer({ arch: "aarch64" });
  const { origin } = await startLoadBalancer([x86.origin, victim.origin]);
  await withPage(browser, { origin, expected: NOISE }, async (page) => {
    await page.goto("/fleet");
    await start(page, 200);
    await settled(page, 8);
    await victim.stop();
    await page.locator("#fleet-failures tr").first().waitFor({ timeout: 30_000 });
    await settled(page, 20);
    // The window of a task that answers no more goes dark.
    await page.waitForFunction(() => document.querySelectorAll(".light.lit").length === 1 && document.querySelector(".lit .x86_64"));
    await page.locator("#fleet-toggle").click();
    await over(page);
    const all = await failures(page);
    const failed = all.reduce((sum, [, count]) => sum + count, 0);
    // A connection that breaks with the server is 502, one that is refused 503.
    for (const [what] of all) assert.match(what, /^(status 50[23], not from Bifora, but from what stands before it|no answer within 5 s)$/);
    assert.ok(all.some(([what]) => what.startsWith("status 503")), JSON.stringify(all));
    assert.match((await findings(page))[0], new RegExp(`^${failed} of \\d+ requests failed \\(\\d+\\.\\d %\\)\\.$`));
    assert.match(await status(page), new RegExp(`, ${failed} failed`));
    assert.ok((await page.locator("#fleet-broken").innerText()).includes(`${failed} request`));
    const answers = (await cells(page)).map((row) => Number(row[5]));
    const [, ended] = /^(\d+) of 200$/.exec(await page.locator("#fleet-progress-text").innerText());
    assert.equal(answers.reduce((sum, count) => sum + count) + failed, Number(ended), "answers and failures are all there is");
  });
});

const OLD = "0123456789abcdef0123456789abcdef01234567";

test("two commits, another digest, a zone without an architecture, an emulated task: each is marked in words", async () => {
  const [second, rebuilt] = await Promise.all([
    startTask({ arch: "x86_64", task: "9f8e7d6c5b4a39281706f5e4d3c2b1a0", zone: ZONE, digest: digest("a") }),
    startTask({ arch: "x86_64", task: "77aa66bb55cc44dd33ee22ff11001122", zone: "eu-central-1c", digest: digest("c") }),
  ]);
  const old = await startProxy(arm.origin, (who) => Object.assign(who, { task: "5e5e5e5e11112222", instance: "5e", commit: OLD }));
  const { origin } = await startLoadBalancer([x86, arm, second, rebuilt, old].map((server) => server.origin));
  await withPage(browser, { origin }, async (page) => {
    await page.goto("/fleet");
    await some(page, 25);
    const texts = await findings(page);
    assert.match(texts[0], /^\d commits at once: .*0123456 \(1 task, \d+\.\d % of the answers\)/);
    assert.match(texts.find((text) => text.includes("x86_64 tasks")), /^2 image digests among the x86_64 tasks: aaaaaaaaaaaa… \(2 tasks\) and cccccccccccc… \(1 task\)\. One commit is in several images/);
    assert.match(texts.find((text) => text.includes("emulated")), /^2 tasks of aarch64 are emulated by .*\(0a1b2c3d and 5e5e5e5e\)/);
    assert.match(texts.at(-1), /^Zone eu-central-1c: no aarch64, only 1 task of x86_64\.$/);
    const marks = Object.fromEntries((await cells(page)).map((row) => [row[0][0], row[9].join(" ")]));
    assert.match(marks["5e5e5e5e"], /another commit; emulated by/);
    assert.equal(marks["77aa66bb"], "another digest; zone without aarch64");
    assert.equal(marks["9f8e7d6c"], "–");
  });
});

test("only one architecture is said, and nothing that stands out is, too", async () => {
  const alone = await startServer();
  await withPage(browser, { origin: alone.origin }, async (page) => {
    await page.goto("/fleet");
    await some(page, 5);
    const [only, ...others] = await findings(page);
    assert.match(only, /^Only x86_64 has answered, in \d+ answers: no aarch64 was seen\.$/);
    assert.deepEqual(others, []);
    assert.equal(await page.locator("#fleet-side-aarch64").innerText(), "no answer");
    const { instance } = await (await fetch(`${alone.origin}/api/whoami`)).json();
    assert.deepEqual((await cells(page))[0][0], [instance.slice(0, 8), "zone not told"], "outside ECS the process has a name of its own");
  });
  const native = await startProxy(arm.origin, (who) => (who.emulator = null));
  const healthy = await startLoadBalancer([x86.origin, native.origin]);
  await withPage(browser, { origin: healthy.origin }, async (page) => {
    await page.goto("/fleet");
    await some(page, 20);
    assert.deepEqual(await findings(page), []);
    assert.match(await page.locator("#fleet-nothing").innerText(), /^Nothing: .*both architectures in every zone, none emulated, no request failed\.$/);
    assert.match(await status(page), /0 failed(, \d broken off)?\.$/);
  });
});

/** What other programs may answer in Bifora's place, or Bifora in trouble, and what the page calls it. */
const STRANGERS = {
  "the page of a proxy": [(who, response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>x86_64</h1>"), "status 200, but no JSON (text/html)"],
  "JSON of something else": [(who, response) => response.writeHead(200, { "content-type": "application/json" }).end('{"arch":"riscv64"}'), "status 200, but the JSON is not Bifora's"],
  "JSON that breaks off": [(who, response) => response.writeHead(200, { "content-type": "application/json" }).end('{"arch":"x86'), "status 200, but no JSON (application/json)"],
  "a redirect": [(who, response) => response.writeHead(302, { location: "/build" }).end(), "a redirect, which is not Bifora's"],
  "a fault of Bifora's": [(who, response) => response.writeHead(500, { "content-type": "application/problem+json" }).end("{}"), "status 500, from Bifora"],
  "a proxy without a server": [(who, response) => response.writeHead(504, { "content-type": "text/html" }).end("x"), "status 504, not from Bifora, but from what stands before it"],
  // Before the head of an answer the browser would ask again by itself, on a new connection.
  "a connection that breaks off": [
    (who, response) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
      response.write("{");
      setTimeout(() => response.destroy(), 20);
    },
    "no answer: the connection failed or broke off",
  ],
  "a hundred megabytes": [
    async (who, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const megabyte = Buffer.alloc(1 << 20, " ");
      for (let sent = 0; sent < 100 && !response.destroyed; sent += 1) {
        if (!response.write(megabyte)) await Promise.race([new Promise((go) => response.once("drain", go)), new Promise((go) => response.once("close", go))]);
      }
      response.end();
    },
    "status 200, but the answer is too large to be Bifora's",
  ],
};
for (const [stranger, [answer, words]] of Object.entries(STRANGERS)) {
  test(`calls it what it is: ${stranger}`, async () => {
    const strange = await startProxy(x86.origin, (who, response, n) => (n % 3 === 0 ? answer(who, response) : undefined));
    await withPage(browser, { origin: strange.origin, expected: NOISE }, async (page) => {
      await page.goto("/fleet");
      await start(page, 50);
      await settled(page, 7);
      await page.locator("#fleet-toggle").click();
      await over(page);
      const [[what, count], ...others] = await failures(page);
      assert.equal(what, words);
      assert.ok(count >= 2 && others.length === 0, JSON.stringify([count, others]));
    });
  });
}

test("gives up after twenty failures in a row", async () => {
  const broken = await startProxy(x86.origin, (who, response) => response.writeHead(500).end());
  await withPage(browser, { origin: broken.origin, expected: NOISE }, async (page) => {
    await page.goto("/fleet");
    await sample(page, 200);
    assert.match(await status(page), /^Stopped: the last 20 requests failed\. 0 answers from 0 tasks, 20 failed/);
    assert.equal((await failures(page))[0][0], "status 500, not from Bifora, but from what stands before it");
    assert.ok(broken.asked.length <= 24, `${broken.asked.length}`);
  });
});

const HOSTILE = {
  task: "=HYPERLINK(\"http://evil.example\",\"x\")",
  zone: "<img src=x onerror=alert(1)>",
  cpu: "\u202e</td></tr></table><script>alert(1)</script>",
  version: "'\"><svg onload=alert(1)>",
  commit: "@SUM(A1)",
  image_digest: "javascript:alert(1)",
  started: "-1+1",
};

/** Reads RFC 4180. */
function parseCsv(text) {
  const lines = [[""]];
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const line = lines.at(-1);
    if (quoted && text[at] === '"' && text[at + 1] === '"') line[line.length - 1] += text[(at += 1)];
    else if (text[at] === '"') quoted = !quoted;
    else if (!quoted && text[at] === ",") line.push("");
    else if (!quoted && text.startsWith("\r\n", at)) lines.push([""]), (at += 1);
    else line[line.length - 1] += text[at];
  }
  assert.deepEqual(lines.pop(), [""], "the last line has an end");
  const [header, ...rows] = lines;
  for (const row of rows) assert.equal(row.length, header.length, row.join("|"));
  return rows.map((row) => Object.fromEntries(header.map((name, at) => [name, row[at]])));
}

async function download(page, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.locator(`#fleet-${name}`).click()]);
  return [file.suggestedFilename(), readFileSync(await file.path(), "utf8")];
}

test("hostile facts are text on the page and in the files, and the files say what the table says", async () => {
  const strange = await startProxy(arm.origin, (who, response, n) => {
    Object.assign(who, HOSTILE);
    if (n % 10 === 0) response.writeHead(502).end();
  });
  const { origin } = await startLoadBalancer([x86.origin, strange.origin]);
  await withPage(browser, { origin, expected: NOISE, acceptDownloads: true, viewport: { width: 360, height: 800 } }, async (page) => {
    await page.goto("/fleet");
    await sample(page, 50);
    await assertNoSidewaysScroll(page);
    assert.deepEqual(await page.evaluate(() => [document.images.length, document.querySelectorAll("main script, [onload], [onerror]").length]), [0, 0]);
    const rows = await cells(page);
    const text = rows.flat(2).join("\n");
    for (const shown of [HOSTILE.zone, HOSTILE.version, "\ufffd</td></tr></table><script>alert(1)</script>"]) assert.ok(text.includes(shown), shown);

    const [jsonName, json] = await download(page, "json");
    const [csvName, csv] = await download(page, "csv");
    assert.match(jsonName, /^bifora-fleet-\d{8}T\d{6}Z\.json$/);
    assert.equal(csvName, jsonName.replace("json", "csv"));
    const all = JSON.parse(json);
    const [{ instance }, wanted] = await Promise.all([x86, arm].map(async (server) => (await fetch(`${server.origin}/api/whoami`)).json()));
    assert.deepEqual([all.origin, all.outcome, all.tasks.length], [origin, "done", 2]);
    assert.ok(Date.parse(all.begun) < Date.parse(all.ended));
    assert.equal(all.tasks[0].instance, instance);
    const { stands_out, answers, share_percent, p50_ms, p95_ms, ...facts } = all.tasks[1];
    assert.deepEqual(facts, { ...wanted, ...HOSTILE, cpu: "\ufffd</td></tr></table><script>alert(1)</script>" });
    assert.deepEqual([all.requests.asked, all.requests.answered + all.requests.failed], [50, 50]);

    const lines = parseCsv(csv);
    assert.deepEqual(lines.map(({ row }) => row), ["task", "task", "failed"]);
    assert.equal(lines[1].task, `'${HOSTILE.task}`);
    assert.deepEqual([lines[1].commit, lines[1].started, lines[1].zone], ["'@SUM(A1)", "'-1+1", HOSTILE.zone]);
    for (const line of lines) for (const value of Object.values(line)) assert.doesNotMatch(value, /^[=+\-@]/);
    rows.forEach((row, at) => {
      assert.deepEqual([lines[at].requests, `${Number(lines[at].share_percent).toFixed(1)} %`], [row[5][0], row[6][0]]);
      assert.deepEqual([all.tasks[at].answers, all.tasks[at].share_percent], [Number(lines[at].requests), Number(lines[at].share_percent)]);
      assert.equal(all.tasks[at].stands_out.join("; "), lines[at].stands_out);
    });
    assert.equal(Number(lines[2].requests), all.requests.failed);
    assert.ok(all.requests.failed >= 2);
  });
});

test("a fleet of more than a hundred tasks is shown within bounds", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    await page.goto("/fleet");
    await start(page, 50);
    await settled(page, 1);
    await page.locator("#fleet-toggle").click();
    await over(page);
    // The page's own drawing, of a sample that would take minutes to ask for.
    await page.evaluate(() => {
      const fleet = globalThis.biforaFleet;
      const sample = fleet.empty();
      for (let n = 0; n < 450; n += 1) {
        const [task, arch] = [`${n % 150}-task`, n % 2 === 0 ? "x86_64" : "aarch64"];
        fleet.answered(sample, fleet.read({ arch, task, instance: task, version: "0.1.0", zone: `zone-${n % 3}` }), n % 40);
      }
      const found = fleet.findings(sample, true);
      fleet.drawChart(sample, found, 0);
      fleet.drawTables(sample, found);
    });
    const rows = await cells(page);
    assert.equal(rows.length, 101);
    assert.deepEqual(rows.at(-1)[0], ["further tasks"]);
    assert.equal(rows.reduce((sum, row) => sum + Math.round(10 * Number.parseFloat(row[6])), 0), 1000);
    assert.equal(await page.locator(".task").count(), 100);
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 });
      await assertNoSidewaysScroll(page);
    }
  }));

test("works by keyboard alone, with the focus always to be seen", () =>
  withPage(browser, { origin: pair.origin }, async (page) => {
    await page.goto("/fleet");
    await some(page, 5);
    await page.locator(".brand").focus();
    const stops = [];
    for (let tab = 0; tab < 20; tab += 1) {
      await page.keyboard.press("Tab");
      const focus = await page.evaluate(async () => {
        await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
        const element = document.activeElement;
        const [style, box] = [getComputedStyle(element), element.getBoundingClientRect()];
        return { name: element.id || element.getAttribute("aria-labelledby") || element.textContent.trim(), ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth), target: Math.min(box.width, box.height) };
      });
      stops.push(focus.name);
      assert.ok(focus.ring >= 2 && focus.target >= 24, JSON.stringify(focus));
      if (focus.name === "API") break;
    }
    const own = stops.filter((name) => name.startsWith("fleet-"));
    assert.deepEqual(own, ["fleet-count", "fleet-toggle", "fleet-tasks-title", "fleet-json", "fleet-csv"]);
  }));

test("tells a screen reader when it starts and ends, and not in between", () =>
  withPage(browser, { origin: pair.origin }, async (page) => {
    await page.goto("/fleet");
    const live = await page.locator("[role=status], [role=alert], [aria-live]").evaluateAll((all) => all.map(({ id }) => id));
    assert.deepEqual(live, ["fleet-status"]);
    await page.evaluate(() => {
      globalThis.said = [];
      const status = document.getElementById("fleet-status");
      new MutationObserver(() => globalThis.said.push(status.textContent)).observe(status, { childList: true, characterData: true, subtree: true });
    });
    await sample(page, 50);
    const said = await page.evaluate(() => globalThis.said);
    assert.deepEqual(said, ["Asking 50 times.", "Done. 50 answers from 2 tasks, 0 failed. 1 thing stands out."]);
  }));

test("nothing moves for those who ask for reduced motion", () =>
  withPage(browser, { origin: pair.origin, reducedMotion: "reduce" }, async (page) => {
    await page.goto("/fleet");
    await start(page, 50);
    await settled(page, 5);
    const moving = () =>
      page.evaluate(() => [...document.querySelectorAll("*")].map((element) => getComputedStyle(element)).filter((style) => /[1-9]/.test(style.transitionDuration) || style.animationName !== "none").length);
    assert.equal(await moving(), 0);
    await page.emulateMedia({ reducedMotion: "no-preference" });
    assert.ok((await moving()) > 0, "the light fades for others");
  }));

/** The page as it is without its script. */
async function assertPlain(page) {
  assert.equal(await page.locator("#fleet-plain tbody tr").count(), 1);
  const text = await page.locator("#fleet-plain").innerText();
  const who = await (await fetch(`${x86.origin}/api/whoami`)).json();
  for (const fact of [who.task, ZONE, "x86_64", who.cpu, who.version, who.image_digest, who.started]) assert.ok(text.includes(fact), `${fact} in\n${text}`);
  assert.match(text, /With JavaScript this page asks/);
  assert.match(text, /curl -s http:\/\/ADDRESS\/api\/whoami/);
  assert.equal(await page.getByRole("button").count(), 0, "no dead button");
}

test("works without JavaScript: who answered this request, and how to ask by hand", () =>
  withPage(browser, { origin: x86.origin, javaScriptEnabled: false }, async (page) => {
    await page.goto("/fleet");
    await assertPlain(page);
    await Promise.all([page.waitForNavigation(), page.getByRole("link", { name: "Home", exact: true }).click()]);
    assert.equal(new URL(page.url()).pathname, "/");
  }));

for (const [what, answer] of Object.entries({
  "is of a version that has none": (route) => route.fulfill({ status: 404, body: "" }),
  "is of a version that expects another page": async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace('"csv"', '"csv", "not-there"') });
  },
})) {
  test(`the page stays whole when, during a rollout, its script ${what}`, () =>
    withPage(browser, { origin: x86.origin, expected: NOISE }, async (page) => {
      await page.route("**/static/fleet.*.js", answer);
      await page.goto("/fleet");
      await assertPlain(page);
    }));
}

test("leads there from the home page, and from every page's foot", () =>
  withPage(browser, { origin: x86.origin }, async (page) => {
    await page.goto("/");
    for (const name of ["Every task that answers", "Fleet"]) {
      await page.goto("/");
      await Promise.all([page.waitForNavigation(), page.getByRole("link", { name, exact: true }).click()]);
      assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Fleet");
    }
  }));
