// What the tests of /fleet share: servers that are told their task as ECS tells it, and proxies that change what they say.

import assert from "node:assert/strict";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { listen, startServer } from "./support.js";

/** A digest of 64 times the same hexadecimal digit. */
export const digest = (digit) => `sha256:${digit.repeat(64)}`;

/** A server that runs as the ECS task `task` in `zone`, from an image with `digest`; what is not given, ECS does not tell. */
export async function startTask({ arch, task, zone, digest }) {
  const answers = {
    "/v4/x": { Name: "bifora", ImageID: digest },
    "/v4/x/task": {
      Cluster: "arn:aws:ecs:eu-central-1:123456789012:cluster/bifora",
      TaskARN: `arn:aws:ecs:eu-central-1:123456789012:task/bifora/${task}`,
      AvailabilityZone: zone,
    },
  };
  const metadata = await listen(http.createServer(({ url }, response) => response.end(JSON.stringify(answers[url]))));
  const server = await startServer({ arch, env: { ECS_CONTAINER_METADATA_URI_V4: `${metadata}/v4/x` } });
  const deadline = Date.now() + 15_000;
  while ((await (await fetch(`${server.origin}/api/whoami`)).json()).task !== task) {
    assert.ok(Date.now() < deadline, `the server does not know its task ${task} after 15 s`);
    await sleep(20);
  }
  return server;
}

/**
 * A proxy in front of the server at `origin`. `change` may change the answer's JSON in place, or answer itself: it is
 * given the JSON, the response, and how many times /api/whoami has been asked. Gives the origin and each question, with its
 * time and headers.
 */
export async function startProxy(origin, change = () => {}) {
  const asked = [];
  const server = http.createServer(async (request, response) => {
    const isQuestion = request.url === "/api/whoami";
    if (isQuestion) asked.push({ at: performance.now(), headers: request.headers });
    const answer = await fetch(origin + request.url, { headers: { accept: request.headers.accept ?? "*/*" } });
    const body = Buffer.from(await answer.arrayBuffer());
    const headers = Object.fromEntries(["content-type", "content-security-policy"].map((name) => [name, answer.headers.get(name)]));
    if (!isQuestion) return response.writeHead(answer.status, headers).end(body);
    const who = JSON.parse(body);
    await change(who, response, asked.length);
    if (!response.headersSent && !response.destroyed) response.writeHead(200, headers).end(JSON.stringify(who));
  });
  return { origin: await listen(server), asked };
}

/** Presses the button to ask `count` times, of the counts that the page offers. */
export async function start(page, count) {
  await page.selectOption("#fleet-count", String(count));
  await page.locator("#fleet-toggle").click();
}

/** Waits until a sample is over. */
export const over = (page) => page.locator("#fleet-toggle", { hasText: "Start again" }).waitFor({ timeout: 60_000 });

/** Waits until so many requests have ended. */
export const settled = (page, count) =>
  page.waitForFunction((least) => document.getElementById("fleet-progress").value >= least, count, { timeout: 30_000 });

/** A sample that is stopped after so many. */
export async function some(page, count) {
  await start(page, 200);
  await settled(page, count);
  await page.locator("#fleet-toggle").click();
  await over(page);
}

/** A whole sample. */
export async function sample(page, count) {
  await start(page, count);
  await over(page);
}
