// A real load balancer in front of real servers: HAProxy from Debian, in turn, a connection to the server for each request.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { children, freePort, program } from "./support.js";

/** HAProxy answers this itself, so that to wait for it takes nobody's turn. */
const MONITOR = "/-/load-balancer";

/** One thread, because each has a rota of its own. */
const configuration = (port, addresses) => `
global
  nbthread 1
defaults
  mode http
  balance roundrobin
  option http-server-close
  option forwardfor
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend visitors
  bind 127.0.0.1:${port}
  monitor-uri ${MONITOR}
  default_backend tasks
backend tasks
${addresses.map((address, i) => `  server task${i + 1} ${address}`).join("\n")}
`;

/**
 * Starts HAProxy in front of `servers` (origins, as `startServer` gives them), which answer in turn from the first on.
 * Gives its origin, and stops it when the calling file's tests are over.
 */
export async function startLoadBalancer(servers) {
  const addresses = servers.map((server) => new URL(server).host);
  // Between the choice of a port and its use another program may take it.
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort(), addresses);
    } catch (error) {
      if (attempt === 5 || !/cannot bind/i.test(error.message)) throw error;
    }
  }
}

async function start(port, addresses) {
  const folder = mkdtempSync(path.join(tmpdir(), "bifora-haproxy-"));
  try {
    const file = path.join(folder, "haproxy.cfg");
    writeFileSync(file, configuration(port, addresses));
    const child = spawn(program("BIFORA_HAPROXY", "/usr/sbin/haproxy"), ["-db", "-f", file], {
      env: {},
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.add(child);
    const exited = once(child, "exit").finally(() => children.delete(child));
    let log = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (log = (log + bytes).slice(-4000)));
    const stop = async () => {
      child.kill("SIGKILL"); // it would wait for the browser's connections
      await exited;
    };
    after(stop);
    const origin = `http://127.0.0.1:${port}`;
    const deadline = Date.now() + 10_000;
    for (;;) {
      // Only the end of its output has all of it.
      if (child.exitCode !== null || child.signalCode !== null) await sleep(50);
      assert.ok(child.exitCode === null && child.signalCode === null, `HAProxy ended at its start:\n${log}`);
      try {
        if ((await fetch(origin + MONITOR)).ok) return { origin, stop };
      } catch {
        // not listening yet
      }
      assert.ok(Date.now() < deadline, `HAProxy does not answer after 10 s:\n${log}`);
      await sleep(20);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true }); // it has read its file
  }
}
