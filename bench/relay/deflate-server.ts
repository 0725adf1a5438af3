/**
 * The measured process of the row "f": writes one message after the other to all its readers, as the relay
 * would: uncompressed, compressed once for all of them, or compressed for each as `ws` does it.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { constants, deflateRawSync } from "node:zlib";
import type { DeflateCommand, DeflateReport, DeflateVariant } from "./protocol.ts";

/** What ends a message that was flushed, and is left out (RFC 7692 section 7.2.1). */
const TAIL_BYTES = 4;
const TEXT_FRAME = 0x81;
/** RSV1: the message is compressed. */
const COMPRESSED = 0x40;

/** Rows of a report, of about so many bytes: what a trigger sends, with names, numbers and dates. */
export function jsonOf(bytes: number, seed: number): string {
  const rows: string[] = [];
  const names = ["Sleeve bearing", "Hex bolt M8", "Cable gland", "O-ring", "Shaft seal", "Valve"];
  for (let size = 0, n = seed; size < bytes; n++) {
    const row = JSON.stringify({
      id: 100_000 + ((n * 7919) % 900_000),
      product: names[n % names.length],
      quantity: (n * 31) % 500,
      price: ((n * 104_729) % 100_000) / 100,
      changed: new Date(1_795_333_000_000 + n * 61_003).toISOString(),
    });
    rows.push(row);
    size += row.length + 1;
  }
  return `{"channel":"sales","eventName":"rows","payload":[${rows.join(",")}],"id":"${seed}","seq":${seed}}`;
}

function frame(data: Buffer, flags: number): Buffer {
  const head = Buffer.alloc(data.length < 126 ? 2 : data.length < 65_536 ? 4 : 10);
  head[0] = TEXT_FRAME | flags;
  if (head.length === 2) head[1] = data.length;
  else if (head.length === 4) {
    head[1] = 126;
    head.writeUInt16BE(data.length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(data.length), 2);
  }
  return Buffer.concat([head, data]);
}

function deflate(text: Buffer): Buffer {
  const data = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH, level: 1 });
  return frame(data.subarray(0, -TAIL_BYTES), COMPRESSED);
}

const readers: Socket[] = [];
const server = createServer((socket) => {
  socket.on("error", () => {}).setNoDelay();
  readers.push(socket);
}).listen(0, "127.0.0.1");
await once(server, "listening");

/** Writes a message to everybody, and waits until the kernel has it. Returns the bytes for one of them. */
function publish(text: Buffer, variant: DeflateVariant): Promise<number> {
  let bytes = 0;
  const shared = variant === "plain" ? frame(text, 0) : deflate(text);
  return new Promise((resolve) => {
    let left = readers.length;
    const written = () => {
      if (--left === 0) resolve(bytes);
    };
    for (const reader of readers) {
      const data = variant === "each" ? deflate(text) : shared;
      bytes = data.length;
      reader.write(data, written);
    }
  });
}

const report = (value: DeflateReport) => process.send?.(value);

async function run({ variant, bytes, measureMs }: Extract<DeflateCommand, { do: "deflate" }>) {
  let sent = 0;
  let size = 0;
  const round = async (ms: number) => {
    const before = process.cpuUsage();
    for (let count = 1; ; count++) {
      size = await publish(Buffer.from(jsonOf(bytes, sent++)), variant);
      const { user, system } = process.cpuUsage(before);
      if ((user + system) / 1000 >= ms) return (user + system) / count;
    }
  };
  await round(measureMs / 4);
  report({ is: "deflated", microsPerMessage: await round(measureMs), bytes: size });
}

process.on("message", (command: DeflateCommand) => {
  if (command.do === "deflate") void run(command);
  else process.exit(0);
});
process.on("disconnect", () => process.exit(0));
report({ is: "listening", port: (server.address() as AddressInfo).port });
