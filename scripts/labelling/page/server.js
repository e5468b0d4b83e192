// Requests to the server.

export class Gone extends Error {}

// The answer's JSON with its `status`. Throws Gone if there is no answer, or none within `limit` milliseconds.
export async function ask(path, method = "GET", body = undefined, limit = undefined) {
  let response;
  try {
    response = await fetch(path, {
      method,
      body: body && JSON.stringify(body),
      signal: limit && AbortSignal.timeout(limit),
      headers: body && { "Content-Type": "application/json" },
    });
  } catch {
    throw new Gone("server gone");
  }
  const content = await response.json().catch(() => ({ error: `the server answered ${response.status}.` }));
  return { status: response.status, ...content };
}
