/** `rtm demo` in the foreground. */
import { untilStopped } from "../run.ts";
import { type DemoOptions, startDemo } from "./demo.ts";

/** @returns the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const demo = await startDemo(options);
  process.stdout.write(
    `\n  apex-rtm demo: ${demo.url}\n\n` +
      "  The database is an emulator, not Oracle. Worker, relay and client are the real ones.\n" +
      "  Watch the messages in a terminal: rtm tail sales\n" +
      "  Stop with Ctrl+C.\n\n",
  );
  return untilStopped(() => demo.stop(), demo.service.done, options.log);
}
