/* Talks to the server this page came from, and to no other. */

/** What a person is told when something does not work: the server's own sentence where it gave one. */
export class ApiError extends Error {
  constructor(sentence, status = 0, body = null) {
    super(sentence);
    Object.assign(this, { name: "ApiError", status, body });
  }
}

const UNREACHABLE = "The server does not answer; see whether whylook serve is still running, then try again.";

async function answered(response) {
  if (response.status === 204) return null;
  let body = null;
  try {
    body = await response.json();
  } catch {
    throw new ApiError(`The server gave an answer that cannot be read (${response.status}).`, response.status);
  }
  if (response.ok) return body;
  throw new ApiError(body?.error?.sentence ?? `The server refused (${response.status}).`, response.status, body);
}

async function send(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", redirect: "error", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE);
  }
  return response;
}

export async function get(path, signal) {
  return answered(await send(path, { signal }));
}

/** POST an object as JSON, or a FormData as it is. */
export async function post(path, body, signal) {
  const form = body instanceof FormData;
  return answered(
    await send(path, {
      method: "POST",
      body: form ? body : JSON.stringify(body ?? {}),
      headers: form ? {} : { "Content-Type": "application/json" },
      signal,
    }),
  );
}

export async function remove(path) {
  return answered(await send(path, { method: "DELETE" }));
}

const MOST_STREAMS = 2;
let streams = 0;

export const OVER = ["done", "failed", "cancelled", "interrupted"];

/**
 * Follow a job: `told(job)` at every change, until it is over or `stop()`, which this returns, is called. The browser
 * takes a broken stream up again by itself, and `silent(true)` says that it is about that; `lost(error)` where it has
 * no end.
 */
export function events(path, told, lost = () => {}, silent = () => {}) {
  if (streams >= MOST_STREAMS) return asking(path.replace(/\/events$/, ""), told, lost);
  streams++;
  let open = true;
  const close = () => {
    if (open) streams--;
    open = false;
    stream.close();
  };
  const stream = new EventSource(path);
  stream.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (OVER.includes(job.state)) close();
    told(job);
  });
  stream.addEventListener("open", () => silent(false));
  stream.addEventListener("error", async () => {
    if (!open) return;
    if (stream.readyState !== EventSource.CLOSED) {
      silent(true);
      return;
    }
    close();
    try {
      const job = await get(path.replace(/\/events$/, ""));
      told(job);
      if (!OVER.includes(job.state)) lost(new ApiError(UNREACHABLE));
    } catch (error) {
      lost(error);
    }
  });
  return close;
}

/** Ask now and then: a browser keeps few connections to one server, and streams hold theirs. */
function asking(path, told, lost) {
  let timer = 0;
  let stopped = false;
  const ask = async () => {
    try {
      const job = await get(path);
      if (stopped) return;
      told(job);
      if (!OVER.includes(job.state)) timer = setTimeout(ask, 1000);
    } catch (error) {
      if (!stopped) lost(error);
    }
  };
  ask();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}

/** POST and read the events that come back: `told(name, data)` for each. */
export async function stream(path, body, told, signal) {
  const response = await send(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    signal,
  });
  if (!response.ok) return answered(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return null;
    text += value.replaceAll("\r", "");
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      tell(text.slice(0, end), told);
      text = text.slice(end + 2);
    }
  }
}

function tell(block, told) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
  }
  if (data.length) told(name, JSON.parse(data.join("\n")));
}

/** Things that do not change while a page is open are asked for once. */
const kept = new Map();
export function once(path) {
  if (!kept.has(path)) {
    const asked = get(path);
    asked.catch(() => kept.delete(path));
    kept.set(path, asked);
  }
  return kept.get(path);
}

export const error = ApiError;
