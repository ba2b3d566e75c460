// Asks /api/whoami through whatever stands in front: a bounded number of times, at a bounded rate, a few at once.
"use strict";
((fleet) => {
  const ADDRESS = "/api/whoami";
  const EVERY_MS = 110; // no second has more than ten questions, also when some are delayed on their way
  const AT_ONCE = 4; // browsers have six connections for HTTP/1.1; what waits for one would look slow
  const TIMEOUT_MS = 5000;
  const GIVE_UP = 20; // failures in a row
  const LARGEST = 65_536; // bytes of an answer; ours has less than one thousand

  /** The body as text; null when it is larger than any answer of ours. */
  async function bounded(response) {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let [text, size] = ["", 0];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      size += value.length;
      if (size > LARGEST) {
        await reader.cancel();
        return null;
      }
      text += decoder.decode(value, { stream: true });
    }
  }

  /** One question: `{ answer }`, or `{ failure }` in words. */
  async function ask(signal) {
    const response = await fetch(ADDRESS, {
      cache: "no-store",
      // The cookie of a sticky session would have one task answer all of them.
      credentials: "omit",
      headers: { accept: "application/json" },
      redirect: "manual",
      signal,
    });
    if (response.type === "opaqueredirect") return { failure: "a redirect, which is not Bifora's" };
    const mediaType = fleet.clean(response.headers.get("content-type")?.split(";")[0]) ?? "no media type";
    const body = await bounded(response);
    if (response.status !== 200) {
      const whose = mediaType === "application/problem+json" ? "from Bifora" : "not from Bifora, but from what stands before it";
      return { failure: `status ${response.status}, ${whose}` };
    }
    if (body === null) return { failure: "status 200, but the answer is too large to be Bifora's" };
    try {
      const answer = fleet.read(JSON.parse(body));
      return answer === null ? { failure: "status 200, but the JSON is not Bifora's" } : { answer };
    } catch {
      return { failure: `status 200, but no JSON (${mediaType})` };
    }
  }

  /**
   * Starts asking `count` times. `told` is called with `{ answer, ms }` or `{ failure }` for each question that ended,
   * `ended` once, with the reason: "done", "failing", or what `stop` was called with. Returns `{ stop, asked }`.
   */
  function start(count, told, ended) {
    const open = new Set();
    let asked = 0;
    let timer = 0;
    let last = -Infinity;
    let inARow = 0;
    let over = false;

    function stop(reason) {
      if (over) return;
      over = true;
      clearTimeout(timer);
      for (const question of open) question.abort();
      ended(reason);
    }

    async function question() {
      const mine = new AbortController();
      open.add(mine);
      asked += 1;
      last = performance.now();
      let late = false;
      const tooLong = setTimeout(() => {
        late = true;
        mine.abort();
      }, TIMEOUT_MS);
      const begun = performance.now();
      let outcome;
      try {
        outcome = await ask(mine.signal);
      } catch {
        outcome = { failure: late ? `no answer within ${TIMEOUT_MS / 1000} s` : "no answer: the connection failed or broke off" };
      }
      const ms = performance.now() - begun;
      clearTimeout(tooLong);
      open.delete(mine);
      if (over) return; // broken off: neither an answer nor a failure
      inARow = outcome.failure === undefined ? 0 : inARow + 1;
      told({ ...outcome, ms });
      if (inARow === GIVE_UP) stop("failing");
      else next();
    }

    function next() {
      if (over) return;
      clearTimeout(timer);
      if (asked === count) return open.size === 0 ? stop("done") : undefined;
      if (open.size === AT_ONCE) return; // whichever ends first calls again
      const wait = last + EVERY_MS - performance.now();
      if (wait <= 0) question();
      timer = setTimeout(next, wait > 0 ? wait : EVERY_MS);
    }

    next();
    return { stop, asked: () => asked };
  }

  Object.assign(fleet, { start, GIVE_UP });
})((globalThis.biforaFleet ??= {}));
