/** No wait of a test is longer, ms, unless it says so. */
export const DEADLINE_MS = 20_000;

/** Waits for what has no event of its own; says what was awaited when it never comes. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited too long: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
