/** What a page of the demo shows of waves, which are gone after 3 s: noted as it happens. */
import type { Page } from "playwright-core";

/**
 * Begins to note; returns the notes so far, each once. A note is what the news say, and the name of whoever
 * waves at that moment.
 */
export async function noteWaves(page: Page): Promise<() => Promise<readonly string[]>> {
  await page.evaluate(`{
    const noted = globalThis.noted = new Set();
    new MutationObserver(() => {
      const names = document.querySelectorAll("#people li.waves strong");
      const news = document.getElementById("people-news").textContent;
      if (names.length) noted.add([news, ...[...names].map((name) => name.textContent)].join(" | "));
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  }`);
  return () => page.evaluate("[...globalThis.noted]");
}
