/**
 * The documentation as a searchable site: npm run docs:site. VitePress is fetched when it runs, so it is
 * no dependency; nothing of the site is fetched from elsewhere when it is read.
 *
 * RTM_SITE_BASE: the path that it is served under, such as /apex-rtm/; default /.
 * RTM_SITE_SOURCE: where files outside of docs/ can be read, such as
 * https://git.example.com/apex-rtm/blob/v0.1.0/; without it their names stand there without a link.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path/posix";
import { anchorOf, isPage, readingOrder } from "../pages.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url)));
const source = process.env.RTM_SITE_SOURCE;

/** Where a link of a page leads on the site; undefined: to nowhere. */
function siteLink(href, page) {
  if (/^[a-z]+:|^#/.test(href)) return href;
  const [path, anchor] = href.split("#");
  const target = join("docs", dirname(page), path);
  if (target.startsWith("docs/") && (isPage(target) || /\.png$/.test(target))) {
    return href.replace(/README\.md(?=#|$)/, "index.md");
  }
  return source && `${source}${target}${anchor === undefined ? "" : `#${anchor}`}`;
}

/** Links out of docs/ lead to the sources, or are text. */
function links(md) {
  md.core.ruler.push("rtm-links", ({ tokens, env }) => {
    for (const { children } of tokens.filter(({ type }) => type === "inline")) {
      let removed = false;
      for (const token of children) {
        if (token.type === "link_open") {
          const href = siteLink(token.attrGet("href"), env.relativePath);
          removed = href === undefined;
          if (removed) Object.assign(token, { type: "text", tag: "", nesting: 0, content: "" });
          else token.attrSet("href", href);
        } else if (token.type === "link_close" && removed) {
          Object.assign(token, { type: "text", tag: "", nesting: 0, content: "" });
        }
      }
    }
  });
}

const route = (page) => `/${page.replace(/(^|\/)README\.md$/, "$1").replace(/\.md$/, "")}`;

export default {
  title: "apex-rtm",
  description: "Real-time messaging for Oracle APEX, pushed by the database",
  lang: "en",
  base: process.env.RTM_SITE_BASE ?? "/",
  srcDir: "../../docs",
  outDir: "../../build/site",
  cacheDir: "../../.cache/site",
  rewrites: { "README.md": "index.md", ":folder/README.md": ":folder/index.md" },
  // Comments are for who writes the pages, and <placeholders> are text.
  markdown: {
    html: false,
    anchor: { slugify: anchorOf },
    config: links,
    preConfig: (md) => {
      const { parse } = md;
      md.parse = (text, env) => parse.call(md, text.replace(/^<!--[\s\S]*?-->\n/gm, ""), env);
    },
  },
  themeConfig: {
    search: { provider: "local" },
    outline: { level: [2, 3] },
    nav: [{ text: `version ${version}`, link: "/" }],
    sidebar: readingOrder().map(({ title, pages }) => ({
      text: title,
      collapsed: false,
      items: pages.map(({ text, page }) => ({ text, link: route(page) })),
    })),
  },
};
