/** `npm run dev`: builds, then runs the demo. Node's watch mode starts it anew when a source changes. */
import { execFileSync } from "node:child_process";

execFileSync("npm", ["run", "--silent", "build"], { stdio: "inherit" });
process.argv = [process.execPath, "build/cli/rtm.js", "demo", ...process.argv.slice(2)];
await import("../build/cli/rtm.js");
