/** The row "f": whether compressing messages (permessage-deflate) would pay. */
import { once } from "node:events";
import { connect } from "node:net";
import { Child } from "../child.ts";
import { median } from "./figures.ts";
import type { DeflateCommand, DeflateReport, DeflateVariant } from "./protocol.ts";

export const DEFLATE = "f deflate, 1000 readers";
const READERS = 1000;
const SIZES = [1024, 10 * 1024];
const VARIANTS: readonly DeflateVariant[] = ["plain", "shared", "each"];
const NAMES: Readonly<Record<DeflateVariant, string>> = {
  plain: "uncompressed",
  shared: "compressed once for all",
  each: "compressed for each",
};
const DEADLINE_MS = 120_000;

/** Prints a table of its own: CPU time of the writing process per message, and bytes per reader. */
export async function measureDeflate(rounds: number, measureMs: number): Promise<void> {
  console.log(`\n| ${DEFLATE} | CPU ms/message | ratio | spread | bytes per reader | ratio |`);
  console.log("| --- | ---: | ---: | --- | ---: | ---: |");
  const server = new Child<DeflateCommand, DeflateReport>(
    new URL("./deflate-server.js", import.meta.url),
    [],
    { node: [], deadlineMs: DEADLINE_MS },
  );
  const { port } = await server.expect("listening");
  // They read here, in a process that is not measured.
  const sockets = await Promise.all(
    Array.from({ length: READERS }, async () => {
      const socket = connect(port, "127.0.0.1");
      await once(socket, "connect");
      return socket.resume();
    }),
  );
  for (const bytes of SIZES) {
    const micros: Record<DeflateVariant, number[]> = { plain: [], shared: [], each: [] };
    const sizes: Record<DeflateVariant, number> = { plain: 0, shared: 0, each: 0 };
    for (let round = 0; round < rounds; round++) {
      for (const variant of round % 2 === 0 ? VARIANTS : [...VARIANTS].reverse()) {
        server.tell({ do: "deflate", variant, bytes, measureMs });
        const measured = await server.expect("deflated");
        micros[variant].push(measured.microsPerMessage);
        sizes[variant] = measured.bytes;
      }
    }
    for (const variant of VARIANTS) {
      const ratios = micros[variant].map((value, round) => value / (micros.plain[round] as number));
      const cells = [
        `${bytes / 1024} KB JSON, ${NAMES[variant]}`,
        (median(micros[variant]) / 1000).toFixed(2),
        median(ratios).toFixed(2),
        `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`,
        sizes[variant].toLocaleString("en"),
        (sizes[variant] / sizes.plain).toFixed(2),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  }
  for (const socket of sockets) socket.destroy();
  await server.stop({ do: "stop" });
}
