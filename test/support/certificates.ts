/** Certificates of a test's own, made by openssl. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

function openssl(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
}

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const DAYS = ["-days", "2"];

/** An authority that signs itself, with its files in `directory`. */
export class Authority {
  readonly #directory: string;
  readonly #name: string;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
    openssl(
      "req",
      "-x509",
      ...KEY,
      ...DAYS,
      ...["-subj", `/CN=${name}`, "-keyout", this.#keyFile, "-out", this.certFile],
    );
  }

  get certFile(): string {
    return join(this.#directory, `${this.#name}.pem`);
  }

  get #keyFile(): string {
    return join(this.#directory, `${this.#name}.key`);
  }

  /** @param alternative such as `IP:127.0.0.1` or `DNS:engine.example.com` */
  issue(name: string, alternative: string): { certFile: string; keyFile: string } {
    const file = (extension: string) => join(this.#directory, `${name}.${extension}`);
    const [certFile, keyFile] = [file("pem"), file("key")];
    const request = ["-subj", `/CN=${name}`, "-keyout", keyFile, "-out", file("csr")];
    openssl("req", "-new", ...KEY, ...request);
    writeFileSync(file("ext"), `subjectAltName=${alternative}\n`);
    const signer = ["-CA", this.certFile, "-CAkey", this.#keyFile, "-CAcreateserial"];
    const files = ["-in", file("csr"), "-extfile", file("ext"), "-out", certFile];
    openssl("x509", "-req", ...DAYS, ...signer, ...files);
    return { certFile, keyFile };
  }
}
