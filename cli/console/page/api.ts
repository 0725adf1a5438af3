/** What the page asks its server. */
import type { Problem } from "../contract.ts";

/** What the server refused or could not do; the message is for the viewer. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, { message }: Problem) {
    super(message);
    this.status = status;
  }
}

/** @throws {ApiError} */
export async function call<T>(path: string, body?: object): Promise<T> {
  const response = await fetch(`api/${path}`, {
    method: body ? "POST" : "GET",
    headers: { "x-rtm-console": "1", ...(body ? { "content-type": "application/json" } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const answer = await response.json().catch(() => ({ message: `HTTP ${response.status}` }));
  if (!response.ok) throw new ApiError(response.status, answer as Problem);
  return answer as T;
}
