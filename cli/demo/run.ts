/** `rtm demo` in the foreground. */
import { DEFAULT_URL } from "../arguments.ts";
import { untilStopped } from "../service/run.ts";
import { StopSignals } from "../signals.ts";
import { type DemoOptions, startDemo } from "./demo.ts";

/** @returns the exit code. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const signals = new StopSignals(options.log);
  const demo = await startDemo(options);
  const { port } = new URL(demo.url);
  const url = `http://127.0.0.1:${port}`;
  const to = url === DEFAULT_URL ? "" : ` --url ${url}`;
  const consoles = demo.consoles
    .map((each) => (each.node === undefined ? ` ${each.url}` : `\n    ${each.node}: ${each.url}`))
    .join("");
  process.stdout.write(
    `\n  apex-rtm demo: ${demo.url}\n\n` +
      `  What happens inside, live:${consoles}\n\n` +
      "  The database is an emulator, not Oracle. Worker, relay and client are the real ones.\n" +
      (options.nodes > 1
        ? `  ${options.nodes} nodes share a log in a Valkey or Redis of the demo's own: kill them on the page.\n`
        : "") +
      `  Watch the messages in another terminal: npm run -s rtm -- tail sales${to}\n` +
      `  Who is here: npm run -s rtm -- members floor${to} --key-file ${demo.keyFile}\n` +
      "  With the same --key-file: publish, history, channels, revoke, disconnect.\n" +
      "  Stop with Ctrl+C.\n\n",
  );
  return untilStopped(() => demo.stop(), demo.done, signals, options.log);
}
