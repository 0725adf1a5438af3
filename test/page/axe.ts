/** axe-core in a page: https://github.com/dequelabs/axe-core */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "playwright-core";

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");

/** What axe finds wrong, each as impact, rule and the element's HTML. Also under a strict CSP. */
export async function violations(page: Page): Promise<string[]> {
  // As an expression: a script element would need the page's permission.
  await page.evaluate(`${SOURCE};undefined`);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: Violation[] }> };
    };
    return (await axe.run()).violations;
  });
  return found.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html }) => `${impact} ${id} ${html}`),
  );
}
