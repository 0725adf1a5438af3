/** A real Chromium for the page tests, without its background traffic. */
import { mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sparticuz from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox",
  "--disable-setuid-sandbox",
  "--no-zygote",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-domain-reliability",
  "--disable-sync",
  "--metrics-recording-only",
  "--no-first-run",
  "--no-pings",
];

/** The package unpacks its binary into the temporary directory: one process at a time. */
async function unpack(): Promise<string> {
  const lock = join(tmpdir(), "apex-rtm-chromium.lock");
  for (const deadline = performance.now() + 60_000; ; ) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      // Unpacking takes seconds: whoever made the lock was killed before it could remove it.
      if (performance.now() > deadline) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  try {
    return await sparticuz.executablePath();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** Close it after the tests. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await unpack(), headless: true, args: ARGS });
}
