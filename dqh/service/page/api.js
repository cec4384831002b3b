// Requests to the service: answers as objects, errors as `Problem`, times of all stages to whoever listens.

const RETRIES = 3;

/** Why the service gave no answer; `status` is 0 where it could not be reached. */
export class Problem extends Error {
  constructor(status, detail, { retryAfter = null, requestId = null } = {}) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
}

const listeners = new Set();

/**
 * Have `listener({what, version, seconds, total, shards})` called for every answer: the version of the index that it is
 * of, if any, seconds by stage, total milliseconds, and of a router its shards.
 */
export function onAnswer(listener) {
  listeners.add(listener);
}

/**
 * The JSON of an answer.
 *
 * @param {string} path below the service.
 * @param {object} options `asked`: parameters, of which null and undefined are left out; `image`: a Blob that is sent;
 *   `json`: what is sent instead; `signal`: ends it; `onWait`: is told for how many seconds a busy service is waited for.
 * @throws {Problem} the service refused or could not be reached.
 */
export async function ask(path, { asked = {}, image = null, json = null, signal, onWait = () => {} } = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  const url = query ? `${path}?${query}` : path;
  const body = image ?? (json === null ? null : JSON.stringify(json));
  const type = image ? { "Content-Type": "application/octet-stream" } : { "Content-Type": "application/json" };
  const request = { method: body === null ? "GET" : "POST", body, signal, headers: body === null ? {} : type };
  for (let attempt = 0; ; attempt++) {
    const began = performance.now();
    const answer = await reach(url, request);
    if (answer.ok) {
      const told = answer.status === 204 ? {} : await read(answer);
      const total = performance.now() - began;
      const { version = null, seconds = {}, shards = null } = told;
      for (const listener of listeners) listener({ what: path, version, seconds, total, shards });
      return told;
    }
    const problem = await problemOf(answer);
    if (problem.status !== 503 || problem.retryAfter === null || attempt === RETRIES) throw problem;
    onWait(problem.retryAfter);
    await pause(1000 * problem.retryAfter, signal);
    onWait(0);
  }
}

/** Why a picture of the service is not to be had, as a `Problem`; null where it is. */
export async function refusalOf(url) {
  try {
    const answer = await reach(url, {});
    return answer.ok ? null : await problemOf(answer);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return error;
  }
}

async function reach(url, request) {
  try {
    return await fetch(url, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer. Is it running, and are you connected to it?");
  }
}

async function read(answer) {
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The connection broke before the whole answer was here.");
  }
}

async function problemOf(answer) {
  const seconds = Number(answer.headers.get("Retry-After") ?? NaN);
  const more = { retryAfter: Number.isFinite(seconds) ? Math.min(seconds, 30) : null };
  try {
    const told = await answer.json();
    return new Problem(answer.status, told.detail ?? answer.statusText, { ...more, requestId: told.request_id });
  } catch {
    return new Problem(answer.status, answer.statusText || `status ${answer.status}`, more);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
