/** The API key with which a worker posts to its relay. */
import { ConfigError } from "../common/config.ts";
import { messageOf } from "../common/errors.ts";
import { readSecretFile } from "../common/secret-file.ts";
import type { RtmConfig } from "./config.ts";

/** @throws {ConfigError} when the file cannot be read or is empty */
export function readPublishKey({ worker: { publishKey, publishKeyFile } }: RtmConfig): string {
  if (publishKeyFile === undefined) return publishKey ?? "";
  let problem = "the file is empty";
  try {
    const key = readSecretFile(publishKeyFile);
    if (key !== "") return key;
  } catch (error) {
    problem = messageOf(error);
  }
  throw new ConfigError([`worker.publishKeyFile: ${problem}`]);
}
