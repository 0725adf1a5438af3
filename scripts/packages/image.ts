/** The container image, by buildah: no daemon, and nothing of the image is run while it is built. */
import { chmodSync, cpSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { VERSION } from "../../cli/version.ts";
import { DOCUMENTS, HOME, run, type Staged } from "./stage.ts";

/** The state directory of the service in the container. */
const STATE = "var/lib/apex-rtm";

/** What the Containerfile copies: a tree of its own, because other packages take the staged one as it is. */
function makeContext(staged: string, context: string): void {
  for (const path of [HOME, `${DOCUMENTS}/BUNDLED`]) {
    cpSync(join(staged, path), join(context, path), { recursive: true, preserveTimestamps: true });
  }
  // With a mode, mkdir would give it to the parents too.
  mkdirSync(join(context, STATE), { recursive: true });
  chmodSync(join(context, STATE), 0o700);
}

/** @param platform such as linux/arm64; undefined: this machine's @returns the path of the archive */
function buildFor(platform: string | undefined, context: string, out: string): string {
  const tag = `localhost/apex-rtm:${VERSION}`;
  const base = process.env.RTM_IMAGE_BASE;
  run("buildah", [
    "build",
    // The format of Docker has a health check; that of OCI has none.
    ...["--isolation", "chroot", "--format", "docker"],
    ...["--timestamp", process.env.SOURCE_DATE_EPOCH ?? "0"],
    ...(base === undefined ? [] : ["--build-arg", `BASE=${base}`]),
    ...(platform === undefined ? [] : ["--platform", platform]),
    ...["--file", "packaging/image/Containerfile", "--tag", tag, context],
  ]);
  const suffix =
    platform === undefined ? "" : `-${platform.replace(/^linux\//, "").replaceAll("/", "-")}`;
  const target = resolve(out, `apex-rtm-${VERSION}-image${suffix}.tar`);
  run("buildah", ["push", tag, `docker-archive:${target}:apex-rtm:${VERSION}`]);
  run("buildah", ["rmi", tag]);
  return target;
}

/**
 * RTM_IMAGE_BASE: another base than the Containerfile's; it must have Node.js as /nodejs/bin/node.
 * RTM_IMAGE_PLATFORMS: such as linux/amd64,linux/arm64; default this machine's.
 * @returns the paths of the archives in `out`, which `docker load` and `podman load` take
 */
export function buildImages({ root }: Staged, work: string, out: string): string[] {
  const context = resolve(work, "image");
  makeContext(root, context);
  const platforms = process.env.RTM_IMAGE_PLATFORMS?.split(",") ?? [undefined];
  return platforms.map((platform) => buildFor(platform, context, out));
}
