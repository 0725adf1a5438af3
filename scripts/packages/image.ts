/** The container image, by buildah: no daemon, and nothing of the image is run while it is built. */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { VERSION } from "../../cli/version.ts";
import { run, type Staged } from "./stage.ts";

/**
 * RTM_IMAGE_BASE: another base than the Containerfile's; it must have Node.js as /nodejs/bin/node.
 * RTM_IMAGE_PLATFORM: such as linux/arm64; default this machine's.
 * @returns the path of the OCI archive in `out`
 */
export function buildImage({ root }: Staged, work: string, out: string): string {
  mkdirSync(join(root, "var/lib/apex-rtm"), { recursive: true, mode: 0o700 });
  const tag = `localhost/apex-rtm:${VERSION}`;
  const { RTM_IMAGE_BASE: base, RTM_IMAGE_PLATFORM: platform } = process.env;
  run("buildah", [
    "build",
    ...["--isolation", "chroot", "--format", "docker", "--timestamp"],
    process.env.SOURCE_DATE_EPOCH ?? "0",
    ...(base === undefined ? [] : ["--build-arg", `BASE=${base}`]),
    ...(platform === undefined ? [] : ["--platform", platform]),
    ...["--file", "packaging/image/Containerfile", "--tag", tag, root],
  ]);
  mkdirSync(work, { recursive: true });
  const suffix = platform?.split("/")[1];
  const name = `apex-rtm-${VERSION}-image${suffix === undefined ? "" : `-${suffix}`}.tar`;
  const target = resolve(out, name);
  run("buildah", ["push", tag, `docker-archive:${target}:apex-rtm:${VERSION}`]);
  return target;
}
