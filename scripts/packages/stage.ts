/**
 * The files of an installation as one tree: what the rpm, the deb and the image hold. It starts from
 * the packed npm package, so that all three ship what `npm pack` ships, with the same dependencies.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { PACKAGE_ROOT } from "../../cli/version.ts";
import { bashCompletion } from "./completion.ts";
import { manPage } from "./man-page.ts";

/** Where the package is on a host. */
export const HOME = "/usr/share/apex-rtm";
export const DOCUMENTS = "/usr/share/doc/apex-rtm";
/** Where systemd/install.sh puts the package, and the units look for it. */
const INSTALL_SH_HOME = "/opt/apex-rtm/current/node_modules/apex-rtm";

/** Files of a dependency that only its developers use, and the driver's Thick mode, which is not used. */
const UNUSED_FILES =
  /\.(node|[cm]?ts|map|tsbuildinfo|markdown|html|css|sh|ya?ml)$|^\.|^bin\.js$|^tsconfig\b/;
const UNUSED_FOLDERS = new Set([
  ...[
    "test",
    "tests",
    "__tests__",
    "docs",
    "doc",
    "examples",
    "example",
    "benchmark",
    "benchmarks",
  ],
  ...[".github", ".husky", ".vscode"],
]);
const TEXT = /\.md$/i;
const LICENSE = /^(licen[cs]e|copying|notice|third_party)/i;

/** Runs a program and gives its output. @throws {Error} it failed, with what it said */
export function run(command: string, args: readonly string[], cwd = PACKAGE_ROOT): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error) throw new Error(`${command}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr || stdout}`);
  return stdout;
}

/** `npm pack`, unpacked below `directory`; gives the path of the tarball. */
function unpack(directory: string): string {
  const packed = JSON.parse(
    run("npm", ["pack", "--json", "--loglevel=error", "--pack-destination", directory]),
  ) as [{ filename: string }];
  const tarball = join(directory, packed[0].filename);
  run("tar", ["-xzf", tarball, "-C", directory]);
  return tarball;
}

/** Removes what a service never loads; license texts stay. */
function prune(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      // A package may be called docs or test: those stand directly below node_modules.
      const isPackage = folder.endsWith("node_modules") || /\/@[^/]+$/.test(folder);
      if (!isPackage && UNUSED_FOLDERS.has(entry.name)) rmSync(path, { recursive: true });
      else prune(path);
    } else if (!LICENSE.test(entry.name)) {
      if (UNUSED_FILES.test(entry.name) || TEXT.test(entry.name)) rmSync(path);
    }
  }
  if (readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/** Each bundled module: name, version, license; sorted. */
export function bundled(modules: string): Manifest[] {
  const found: Manifest[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const path = join(folder, entry.name);
      if (entry.name.startsWith("@")) {
        visit(path);
        continue;
      }
      found.push(JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as Manifest);
      const nested = join(path, "node_modules");
      if (statSync(nested, { throwIfNoEntry: false })) visit(nested);
    }
  };
  visit(modules);
  return found.sort((a, b) => `${a.name}@${a.version}`.localeCompare(`${b.name}@${b.version}`));
}

function write(root: string, path: string, text: string, mode = 0o644): void {
  const target = join(root, path);
  mkdirSync(join(target, ".."), { recursive: true });
  writeFileSync(target, text);
  chmodSync(target, mode);
}

/** A file of `systemd/` as the distribution's packages install it. */
export function packagedUnit(text: string): string {
  return text
    .replaceAll(`file://${INSTALL_SH_HOME}/docs/`, `file://${DOCUMENTS}/`)
    .replaceAll(INSTALL_SH_HOME, HOME)
    .replace(/Installed by systemd\/install\.sh\. (Change it with `systemctl edit [^`]+`)/, "$1");
}

export interface Staged {
  /** The tree; `/` of the packages. */
  readonly root: string;
  /** What `npm pack` made. */
  readonly tarball: string;
  readonly modules: readonly Manifest[];
}

/** Makes the tree below `directory`, which must not exist. The project must be built. */
export function stage(directory: string): Staged {
  mkdirSync(directory, { recursive: true });
  const tarball = unpack(directory);
  const root = join(directory, "root");
  const home = join(root, HOME);
  mkdirSync(join(home, ".."), { recursive: true });
  renameSync(join(directory, "package"), home);

  // Types are for who imports the browser client; nobody imports from here.
  const built = join(home, "build");
  for (const file of readdirSync(built, { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".d.ts")) rmSync(join(built, file));
  }
  // /usr/bin/rtm starts it, with the Node.js of the system.
  const script = join(built, "cli/rtm.js");
  writeFileSync(script, readFileSync(script, "utf8").replace(/^#!.*\n/, ""));
  const modules = bundled(join(home, "node_modules"));
  prune(join(home, "node_modules"));
  const list = modules.map(({ name, version, license }) => `${name} ${version} ${license ?? "?"}`);
  write(root, `${DOCUMENTS}/BUNDLED`, `${list.join("\n")}\n`);

  // Documentation has its own place, and what serves install.sh is not of use here.
  cpSync(join(home, "docs"), join(root, DOCUMENTS), { recursive: true });
  for (const name of ["README.md", "CHANGELOG.md"]) {
    cpSync(join(home, name), join(root, DOCUMENTS, name));
    rmSync(join(home, name));
  }
  rmSync(join(home, "docs"), { recursive: true });
  cpSync(join(home, "nginx"), join(root, DOCUMENTS, "nginx"), { recursive: true });
  rmSync(join(home, "nginx"), { recursive: true });
  cpSync(join(home, "packaging"), join(root, DOCUMENTS), { recursive: true });
  rmSync(join(home, "packaging"), { recursive: true });

  for (const unit of readdirSync(join(home, "systemd")).filter((name) =>
    name.endsWith(".service"),
  )) {
    const text = readFileSync(join(home, "systemd", unit), "utf8");
    write(root, `/usr/lib/systemd/system/${unit}`, packagedUnit(text));
  }
  rmSync(join(home, "systemd"), { recursive: true });

  write(
    root,
    "/usr/bin/rtm",
    `#!/bin/sh\nexec /usr/bin/node ${HOME}/build/cli/rtm.js "$@"\n`,
    0o755,
  );
  write(root, "/usr/share/man/man1/rtm.1", manPage());
  write(root, "/usr/share/bash-completion/completions/rtm", bashCompletion());
  mkdirSync(join(root, "etc/apex-rtm"), { recursive: true });
  chmodSync(join(root, "etc/apex-rtm"), 0o750);
  normalize(root);
  return { root, tarball, modules };
}

/** Modes as packages want them: nothing writable by a group, programs only where they are meant. */
function normalize(root: string): void {
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (relative(root, path) !== "etc/apex-rtm") chmodSync(path, 0o755);
        visit(path);
      } else if (entry.isFile()) {
        chmodSync(path, relative(root, path) === "usr/bin/rtm" ? 0o755 : 0o644);
      }
    }
  };
  visit(root);
}
