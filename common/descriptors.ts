/** How many files and sockets this process may have open (RLIMIT_NOFILE), and how many it has. */
import { readdirSync, readFileSync } from "node:fs";

/**
 * The soft limit, which Node raises to the hard one when it starts; undefined where the system does
 * not tell (no /proc), and for no limit.
 */
export function descriptorLimit(): number | undefined {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** How many are open now; 0 where the system does not tell. */
export function openDescriptors(): number {
  try {
    // One of them was the directory itself.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return 0;
  }
}
