/** A real nginx with the files of nginx/ as an administrator copies them. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Program } from "../support/programs.ts";

export interface NginxOptions {
  /** Holds everything: `conf/`, `logs/`. */
  readonly directory: string;
  readonly relayPort: number;
  /** What else has to differ from the files, such as ports and certificates. */
  readonly edit: (text: string) => string;
  /** Lines of the http block. Default: `conf/*.conf`, as the distribution includes them. */
  readonly http?: string;
}

/** Runs until the end of the test. Paths and the relay's port are replaced, and what `edit` does. */
export function runNginx({ directory, relayPort, edit, http }: NginxOptions): void {
  mkdirSync(join(directory, "logs"));
  cpSync("nginx", join(directory, "conf"), { recursive: true });
  for (const name of readdirSync("nginx")) {
    const path = join(directory, "conf", name);
    const text = readFileSync(path, "utf8")
      .replaceAll("/etc/nginx/apex-rtm/", `${directory}/conf/`)
      .replaceAll("/var/log/nginx/", `${directory}/logs/`)
      .replaceAll("127.0.0.1:3000", `127.0.0.1:${relayPort}`)
      .replace(/^ *listen \[::\].*$/gm, "");
    writeFileSync(path, edit(text));
  }
  const main = join(directory, "nginx.conf");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join("\n");
  writeFileSync(
    main,
    `daemon off; pid ${directory}/pid; error_log ${directory}/logs/main.log;
${process.getuid!() === 0 ? "user root;" : ""} worker_processes 1; events { worker_connections 256; }
http { ${temporary} ${http ?? `include ${directory}/conf/*.conf;`} }`,
  );
  const args = ["-e", join(directory, "logs/main.log"), "-p", directory, "-c", main];
  const tested = spawnSync("nginx", ["-t", ...args], { encoding: "utf8" });
  expect(tested.stderr).toContain("test is successful");
  new Program("nginx", args);
}
