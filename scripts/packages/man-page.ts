/** rtm(1), made from the same text as docs/cli.md. */
import type { ListItem, PhrasingContent, Root, RootContent } from "mdast";
import remarkGfm from "remark-gfm";
import remarkMan from "remark-man";
import remarkParse from "remark-parse";
import { unified } from "unified";
import { VERSION } from "../../cli/version.ts";
import { cliReference } from "../docs/cli-page.ts";
import { sourceDate } from "./source-date.ts";

/** A table of two columns is wider than a terminal: its rows become a list. */
function plainer(node: RootContent): RootContent {
  if (node.type === "table") {
    const items = node.children.slice(1).map((row): ListItem => {
      const [key, meaning] = row.children;
      const children: PhrasingContent[] = [
        { type: "strong", children: key?.children ?? [] },
        { type: "text", value: ": " },
        ...(meaning?.children ?? []),
      ];
      return { type: "listItem", children: [{ type: "paragraph", children }] };
    });
    return { type: "list", ordered: false, spread: false, children: items };
  }
  return node;
}

/** Links lead to pages of the documentation, which a terminal does not follow: their text stays. */
function withoutLinks<T extends { children: RootContent[] }>(node: T): T {
  node.children = node.children.flatMap((child): RootContent[] => {
    if ("children" in child) withoutLinks(child as unknown as T);
    return child.type === "link" ? child.children : [child];
  });
  return node;
}

export function manPage(): string {
  const markdown = cliReference()
    .replace(/^# .*$/m, "# rtm(1) -- real-time messaging for Oracle APEX")
    .replace(/<!--.*?-->\n/s, "");
  return unified()
    .use(remarkParse)
    .use(remarkGfm)
    .use(() => (tree: Root) => {
      tree.children = tree.children.map(plainer);
      withoutLinks(tree);
    })
    .use(remarkMan, { version: VERSION, manual: "apex-rtm", date: sourceDate() })
    .processSync(markdown)
    .toString();
}
