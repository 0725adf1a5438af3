// MLE module WEBSOCKET_SENDER_MODULE: posts one message to the relay. Runs in the database (23ai and
// later) and, for its tests, in Node. No ampersand in this file: SQL*Plus would take it for a
// substitution variable in the flat installation script.
import "mle-js-fetch";

const MAX_BODY_CHARACTERS = 1000;

/** `AbortSignal` where the runtime has it; MLE's fetch is bound by UTL_HTTP's transfer timeout. */
function deadline(timeoutSeconds) {
  const canAbort = typeof AbortSignal === "function" ? "timeout" in AbortSignal : false;
  return canAbort ? { signal: AbortSignal.timeout(timeoutSeconds * 1000) } : {};
}

/** The request's body; the payload's text goes in as it is, so that no number loses a digit. */
function requestBody(channel, eventName, payload, messageId, tsMs, retainSeconds) {
  JSON.parse(payload);
  const members = JSON.stringify({
    channel,
    eventName,
    id: messageId ?? undefined,
    ts: tsMs ?? undefined,
    retain: retainSeconds ?? undefined,
  });
  return `${members.slice(0, -1)},"payload":${payload}}`;
}

/**
 * Posts one message and returns the outcome as JSON text: `{"status":200,"body":"..."}`. A relay that
 * cannot be reached gives a null status, and the reason as the body. Throws only for a caller's
 * mistake: no URL, or a payload that is not JSON.
 *
 * @param {string} apiKey sent as x-api-key unless empty
 * @param {string} baseUrl of the relay, without /api/broadcast
 * @param {string} channel
 * @param {string} eventName
 * @param {string} payload JSON text
 * @param {string} messageId
 * @param {number} tsMs time of the call, ms since 1970
 * @param {number} timeoutSeconds for the whole exchange
 * @param {number} retainSeconds as last value of its channel and event; empty for no retaining
 * @returns {Promise<string>}
 */
export async function sendBroadcast(
  apiKey,
  baseUrl,
  channel,
  eventName,
  payload,
  messageId,
  tsMs,
  timeoutSeconds,
  retainSeconds,
) {
  if (!baseUrl) throw new Error("sendBroadcast: baseUrl is required");
  const body = requestBody(channel, eventName, payload, messageId, tsMs, retainSeconds);
  const headers = { "content-type": "application/json" };
  if (apiKey) headers["x-api-key"] = apiKey;
  let outcome;
  try {
    const response = await fetch(`${baseUrl.replace(/\/+$/, "")}/api/broadcast`, {
      method: "POST",
      headers,
      body,
      ...deadline(timeoutSeconds),
    });
    const text = await response.text();
    outcome = { status: response.status, body: text.slice(0, MAX_BODY_CHARACTERS) };
  } catch (error) {
    outcome = { status: null, body: String(error).slice(0, MAX_BODY_CHARACTERS) };
  }
  return JSON.stringify(outcome);
}
