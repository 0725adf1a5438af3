/** The API key with which a worker posts to its relay. */
import { ConfigError } from "../../common/config.ts";
import { messageOf } from "../../common/errors.ts";
import { readSecretFile } from "../../common/secret-file.ts";
import { apiKeyProblem } from "../../relay/access/keys.ts";
import type { RtmConfig } from "../config.ts";

/** @throws {ConfigError} when the file cannot be read, or holds no key that could be sent */
export function readPublishKey({ worker: { publishKey = "", publishKeyFile } }: RtmConfig): string {
  const inFile = publishKeyFile !== undefined;
  let problem: string | undefined;
  try {
    const key = inFile ? readSecretFile(publishKeyFile) : publishKey;
    if (key !== "") problem = apiKeyProblem(key);
    if (problem === undefined) return key;
  } catch (error) {
    problem = messageOf(error);
  }
  throw new ConfigError([`worker.publishKey${inFile ? "File" : ""}: ${problem}`]);
}
