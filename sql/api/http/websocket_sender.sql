-- The MLE module and its call specification, where the database and the schema's privileges allow
-- it (23ai and later: CREATE MLE, EXECUTE ON JAVASCRIPT up to 23.8). Elsewhere nothing: UTL_HTTP
-- serves. Whether it works is found out by a call (sql/install/features.sql). The build puts
-- sql/api/http/websocket_sender_module.js in place of the marker.
declare
  c_module constant varchar2(32767) := q'~create or replace mle module websocket_sender_module language javascript as
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
}~';

  procedure drop_if_there(p_type in varchar2, p_name in varchar2) is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_objects
    where object_type = p_type
      and object_name = p_name;
    if l_count > 0 then
      execute immediate 'drop ' || p_type || ' ' || p_name;
    end if;
  end drop_if_there;

  function is_valid(p_type in varchar2, p_name in varchar2) return boolean is
    l_count pls_integer;
  begin
    select count(*)
    into l_count
    from user_objects
    where object_type = p_type
      and object_name = p_name
      and status = 'VALID';
    return l_count > 0;
  end is_valid;

  -- A module that is replaced fails once in every session that has used it (ORA-04106): one with the
  -- same source, from its first comment to its end, stays as it is.
  function is_current return boolean is
    l_text varchar2(32767);
  begin
    for line in (
      select text
      from user_source
      where name = 'WEBSOCKET_SENDER_MODULE'
        and type = 'MLE MODULE'
      order by line
    ) loop
      l_text := l_text || rtrim(line.text, chr(10)) || chr(10);
    end loop;
    l_text := rtrim(l_text, chr(10));
    return is_valid('MLE MODULE', 'WEBSOCKET_SENDER_MODULE')
      and instr(l_text, '// MLE module WEBSOCKET_SENDER_MODULE') > 0
      and substr(c_module, -length(l_text)) = l_text;
  end is_current;
begin
  if is_current and is_valid('FUNCTION', 'WEBSOCKET_SEND_BROADCAST') then
    return;
  end if;
  if not is_current then
    execute immediate c_module;
  end if;
  -- The published predecessor had a procedure of this name.
  drop_if_there('PROCEDURE', 'WEBSOCKET_SEND_BROADCAST');
  execute immediate q'~
    create or replace function websocket_send_broadcast(
      p_api_key    in varchar2,
      p_base_url   in varchar2,
      p_channel    in varchar2,
      p_event_name in varchar2,
      p_payload    in clob,
      p_message_id in varchar2,
      p_ts_ms      in number,
      p_timeout_s  in number,
      p_retain_s   in number
    ) return varchar2
    as mle module websocket_sender_module
    signature 'sendBroadcast(string, string, string, string, string, string, number, number, number)';~';
exception
  when others then
    -- An older version, no privilege, MLE switched off, or removed as in slim images.
    dbms_output.put_line('No MLE here, UTL_HTTP serves the HTTP path: ' || sqlerrm);
    drop_if_there('FUNCTION', 'WEBSOCKET_SEND_BROADCAST');
end;
/
