/** Whether the APEX session still lives, asked without using it. */

interface Timeouts {
  readonly idle_time_ms?: unknown;
  readonly life_time_ms?: unknown;
}

/**
 * `answer` is what a refused call returned. A login page is an APEX page, which a proxy's error page
 * is not. Otherwise APEX_SESSION.EMIT_TIMEOUTS is asked, as APEX's own warning of a timeout does; it
 * does not count as use of the session. Where neither can tell, nobody knows.
 */
export async function sessionState(
  answer: string | undefined,
): Promise<"alive" | "ended" | "unknown"> {
  if (answer && /<html[\s\S]*\bpFlow(Step)?Id\b/i.test(answer)) return "ended";
  const { APP_ID = "", APP_SESSION = "" } = apex.env;
  const query = new URLSearchParams({ p_app_id: APP_ID, p_session_id: APP_SESSION });
  try {
    const response = await fetch(`apex_session.emit_timeouts?${query}`);
    const { idle_time_ms: idle, life_time_ms: life } = (await response.json()) as Timeouts;
    if (typeof idle !== "number" || typeof life !== "number") return "unknown";
    return idle > 0 && life > 0 ? "alive" : "ended";
  } catch {
    return "unknown";
  }
}
