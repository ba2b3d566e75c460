// What all browser tests share: the real server, Chromium, and a page that remembers whatever went wrong in it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdirSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const HERE = path.dirname(fileURLToPath(import.meta.url));

/** A program named by a variable. A test that cannot run has failed, it is never skipped. */
export function program(variable, fallback) {
  const file = process.env[variable] || fallback;
  assert.ok(file, `${variable} is not set; it must name a program that these tests run`);
  try {
    accessSync(file, constants.X_OK);
  } catch {
    assert.fail(`${variable}: no program that can be run at ${file}`);
  }
  return path.resolve(file);
}

/** Every process that the tests have started; none outlives them. */
export const children = new Set();
// A file that throws while it is loaded ends without the event "exit".
for (const end of ["exit", "uncaughtExceptionMonitor"]) {
  process.on(end, () => children.forEach((child) => child.kill("SIGKILL")));
}

/** A port of loopback that nobody uses at the moment. */
export async function freePort() {
  const listener = net.createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}

/**
 * Starts the server with nothing in its environment but `env`, and stops it when the calling file's tests are over.
 * The one of the other architecture than the machine's runs under an emulator, its runner.
 */
export async function startServer({ arch = "x86_64", env = {} } = {}) {
  const runner = `BIFORA_RUNNER_${arch.toUpperCase()}`;
  const command = process.env[runner] ? [program(runner)] : [];
  command.push(program(`BIFORA_BIN_${arch.toUpperCase()}`));
  const port = await freePort();
  const [file, ...args] = [...command, "serve"];
  const child = spawn(file, args, {
    env: { HOST: "127.0.0.1", PORT: String(port), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.add(child);
  const exited = once(child, "exit").finally(() => children.delete(child));
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (log = (log + bytes).slice(-4000)));
  const stop = async () => {
    // The second signal ends the server without the wait for a load balancer.
    for (const signal of ["SIGTERM", "SIGTERM", "SIGKILL"]) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      await Promise.race([exited, sleep(signal === "SIGTERM" ? 400 : 2000, undefined, { ref: false })]);
    }
  };
  after(stop);
  const origin = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 15_000;
  for (;;) {
    assert.ok(child.exitCode === null && child.signalCode === null, `the ${arch} server ended at its start:\n${log}`);
    try {
      if ((await fetch(`${origin}/readyz`)).ok) return { origin, stop };
    } catch {
      // not listening yet
    }
    assert.ok(Date.now() < deadline, `the ${arch} server was not ready within 15 s:\n${log}`);
    await sleep(20);
  }
}

/** Has an HTTP server of the test's own listen until the calling file's tests are over, and returns its origin. */
export async function listen(server) {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Waits in real time until `read` gives `wanted`. */
export async function becomes(read, wanted, what) {
  const deadline = Date.now() + 8000;
  let last;
  do {
    last = await read();
    if (wanted instanceof RegExp ? wanted.test(last) : last === wanted) return;
    await sleep(10);
  } while (Date.now() < deadline);
  assert.fail(`${what}: still ${last}, not ${wanted}`);
}

/**
 * A load balancer in small: pages and `/api/whoami` go to the next backend in turn, each in a rota of its own; anything
 * else goes to the first.
 */
export async function startBalancer(backends) {
  const turns = { "/": 0, "/api/whoami": 0 };
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://balancer");
    const backend = pathname in turns ? backends[turns[pathname]++ % backends.length] : backends[0];
    const target = new URL(request.url, backend);
    const forward = http.request(target, { method: request.method, headers: { ...request.headers, host: target.host } });
    forward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    forward.on("error", () => response.writeHead(502).end());
    request.pipe(forward);
  });
  return listen(server);
}

/** Starts Chromium for the calling file and closes it when the file's tests are over. */
export async function startBrowser() {
  const browser = await chromium.launch({
    executablePath: program("BIFORA_CHROMIUM", "/usr/bin/chromium"),
    // The sandbox needs a user of its own and /dev/shm is small in containers; the rest keeps it off the network.
    args: [
      "--no-sandbox",
      "--disable-dev-shm-usage",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  after(() => browser.close());
  return browser;
}

export const VIEWPORTS = { 1280: { width: 1280, height: 800 }, 390: { width: 390, height: 844 } };

/**
 * Runs `visit` in a fresh page, then fails on anything a visitor's console would show: errors, warnings, violations of
 * the policy, dialogs, requests to another origin. `expected` matches messages that the test provokes.
 */
export async function withPage(browser, { origin, expected, ...options }, visit) {
  const context = await browser.newContext({ baseURL: origin, viewport: VIEWPORTS[1280], ...options });
  const problems = [];
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(10_000);
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => problems.push(`uncaught: ${error}`));
    page.on("dialog", (dialog) => {
      problems.push(`dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    page.on("request", (request) => {
      const { protocol, origin: to } = new URL(request.url());
      if (protocol.startsWith("http") && to !== origin) problems.push(`request to ${to}`);
    });
    await visit(page);
    assert.deepEqual(
      problems.filter((problem) => !expected?.test(problem)),
      [],
      `problems on ${page.url()}`,
    );
  } finally {
    await context.close();
  }
}

/** Fails when the page can be scrolled sideways. */
export async function assertNoSidewaysScroll(page) {
  const [content, view] = await page.evaluate(() => {
    const root = document.documentElement;
    return [Math.max(root.scrollWidth, document.body.scrollWidth), root.clientWidth];
  });
  assert.ok(content <= view, `${page.url()} is ${content}px wide in a window of ${view}px`);
}

/** Where pictures go. */
export function picture(name) {
  const folder = path.resolve(process.env.BIFORA_SCREENSHOTS || path.join(HERE, "../../target/screenshots"));
  mkdirSync(folder, { recursive: true });
  return path.join(folder, name);
}

const SHA = "14f28fe0c1d2e3f405162738495a6b7c8d9e0f10";

/** What CircleCI and CodeBuild set, all at once. */
export const RICH = {
  CIRCLE_BUILD_URL: "https://circleci.com/gh/acme/bifora/42",
  CIRCLE_SHA1: SHA,
  CIRCLE_USERNAME: "octavia",
  CIRCLE_BUILD_NUM: "42",
  CIRCLE_WORKFLOW_ID: "7d1f0a5e-1111-4222-8333-944445555666",
  CIRCLE_PIPELINE_ID: "0b6b9c1e-7777-4888-9999-a0000bbbbccc",
  CIRCLE_PIPELINE_NUMBER: "7",
  CIRCLE_BRANCH: "main",
  CIRCLE_TAG: "v0.1.0",
  CIRCLE_PULL_REQUEST: "https://github.com/acme/bifora/pull/5",
  CIRCLE_PROJECT_USERNAME: "acme",
  CIRCLE_PROJECT_REPONAME: "bifora",
  CODEBUILD_BUILD_ID: "bifora-arm:0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
  CODEBUILD_BUILD_ARN:
    "arn:aws:codebuild:eu-central-1:123456789012:build/bifora-arm:0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9",
  CODEBUILD_BUILD_NUMBER: "9",
  CODEBUILD_INITIATOR: "codepipeline/bifora",
  CODEBUILD_RESOLVED_SOURCE_VERSION: SHA,
  CODEBUILD_SOURCE_REPO_URL: "https://github.com/acme/bifora.git",
  CODEBUILD_LOG_PATH: "5c3a1d2e-log-stream",
  CODEPIPELINE_EXECUTION_ID: "3f2e1d0c-1111-4222-8333-944445555666",
  CODEPIPELINE_BRANCH_NAME: "main",
  CODEPIPELINE_FULL_REPOSITORY_NAME: "acme/bifora",
  CODEPIPELINE_COMMIT_MESSAGE: "Light the other arch",
  BIFORA_IMAGE: "public.ecr.aws/o5b1w9d8/bifora:14f28fe",
};

export const SCRIPT = '"><script>alert(1)</script>';

/** What someone who controls a branch name or a user name might try. */
export const HOSTILE = {
  CIRCLE_BUILD_URL: "javascript:alert(1)",
  CIRCLE_SHA1: "' onmouseover='alert(1)",
  CIRCLE_USERNAME: SCRIPT,
  CIRCLE_BUILD_NUM: "<img src=x onerror=alert(1)>",
  CIRCLE_WORKFLOW_ID: "../../evil",
  CIRCLE_PIPELINE_ID: "x?next=https://evil.example/",
  CIRCLE_BRANCH: "b".repeat(10_240),
  CIRCLE_TAG: "\u202e\u0007</dd></dl><h1>Defaced</h1>",
  CIRCLE_PULL_REQUEST: "https://evil.example/acme/bifora/pull/5",
  CIRCLE_PROJECT_USERNAME: "acme/../evil",
  CIRCLE_PROJECT_REPONAME: "data:text/html,<script>alert(1)</script>",
  CODEBUILD_BUILD_ID: `${SCRIPT}:x`,
  CODEBUILD_BUILD_ARN: "arn:aws:codebuild:evil.example/#:123456789012:build/x",
  CODEBUILD_INITIATOR: "javascript:alert(1)",
  CODEBUILD_SOURCE_REPO_URL: "https://github.com@evil.example/acme/bifora.git",
  CODEBUILD_LOG_PATH: "https://evil.example/",
  CODEPIPELINE_EXECUTION_ID: "javascript:alert(1)",
  CODEPIPELINE_COMMIT_MESSAGE: SCRIPT,
  BIFORA_IMAGE: "evil.example/public.ecr.aws/x:y@z",
  VERSION: SCRIPT,
};
