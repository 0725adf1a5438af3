/**
 * Sends one message: node send.mjs <channel> <payload as JSON>
 * RTM_URL is the relay; RTM_API_KEY_FILE holds the key, where it asks for one.
 */
import { readFileSync } from "node:fs";

const [channel, payload = "null"] = process.argv.slice(2);
const { RTM_URL = "http://127.0.0.1:3000", RTM_API_KEY_FILE } = process.env;

const headers = { "content-type": "application/json" };
if (RTM_API_KEY_FILE) headers["x-api-key"] = readFileSync(RTM_API_KEY_FILE, "utf8").trimEnd();

// 503 means: not now. With an id of its own (and a trusted key) a message can be sent again safely.
for (let attempt = 1; ; attempt++) {
  const response = await fetch(`${RTM_URL.replace(/\/+$/, "")}/api/broadcast`, {
    method: "POST",
    headers,
    // Spliced, so that no digit of a number is lost.
    body: `{"channel":${JSON.stringify(channel)},"eventName":"example","payload":${payload}}`,
    signal: AbortSignal.timeout(10_000),
  });
  const answer = await response.json();
  if (response.ok) {
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    break;
  }
  if (response.status !== 503 || attempt === 5) {
    throw new Error(`${response.status} ${answer.code}: ${answer.message}`);
  }
  const seconds = Number(response.headers.get("retry-after") ?? 1);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
