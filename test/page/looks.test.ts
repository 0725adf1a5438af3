import { expect, it } from "vitest";
import { until } from "../support/until.ts";
import { violations } from "./axe.ts";
import { listening, Tab, useWorld } from "./kit.ts";

const world = useWorld();

/** Variables as the Universal Theme sets them in its light and dark styles. */
const THEMES = {
  light: `:root { --ut-component-background-color: #fff; --ut-component-text-default-color: #262626;
    --ut-component-border-color: #d0d0d0 } body { background: #f7f7f7; color: #262626 }`,
  dark: `:root { color-scheme: dark; --ut-component-background-color: #2b2b2b;
    --ut-component-text-default-color: #f2f2f2; --ut-component-border-color: #5a5a5a }
    body { background: #1f1f1f; color: #f2f2f2 } a { color: #8fc7ff }`,
} as const;

const BODY = `<main><h1>Orders</h1><nav aria-label="Main"><a id="NAV_ORDERS" href="#orders"
  data-rtm-count="7">Orders</a></nav></main>`;

it.each(Object.entries(THEMES))(
  "indicator, toasts and badge have no serious fault of accessibility (%s)",
  async (theme, css) => {
    world.site.file(`/${theme}.css`, `${css} body { font-family: Arial, sans-serif }`);
    const show = (type: string, text: string, more: object = {}) => ({
      listener: {
        2: `looks-${theme}`,
        3: type,
        5: "NOTIFY",
        8: text,
        15: JSON.stringify({ type, seconds: 0, ...more }),
      },
    });
    const tab = await Tab.open(
      world,
      listening(
        { 2: `looks-${theme}`, 5: "BADGE", 13: "INDICATOR", 15: '{"badge": "NAV_ORDERS"}' },
        {
          head: `<link rel="stylesheet" href="/${theme}.css">`,
          body: BODY,
          actions: [
            {
              event: "ready",
              actions: [
                show("success", "The order was approved", {
                  title: "Order 42",
                  link: "/orders/42",
                }),
                show("warning", "Stock of #what# is low"),
                show("error", "The import has failed, the log says why", { title: "Import" }),
              ],
            },
          ],
        },
      ),
      await world.browser.newContext({ viewport: { width: 760, height: 420 } }),
    );
    await tab.subscribed(`looks-${theme}`);
    for (const type of ["success", "warning", "error"]) {
      await world.stack.send(`looks-${theme}`, type, { what: "bolts" });
    }
    await until(
      "three toasts are shown",
      async () => (await tab.page.locator(".rtm-Toast").count()) === 3,
    );
    await tab.page.waitForSelector('.rtm-Indicator[data-state="live"]');
    if (process.env.RTM_SCREENSHOTS !== undefined) {
      await tab.page.screenshot({ path: `docs/images/messages-${theme}.png` });
    }
    const found = await violations(tab.page);
    expect(found.filter((text) => /^(serious|critical)/.test(text))).toEqual([]);
    expect(found.filter((text) => text.includes("rtm-"))).toEqual([]);
  },
);
