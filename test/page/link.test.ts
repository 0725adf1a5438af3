/** Addresses whose parts come from a payload. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { link } from "../../apex-plugins/listener/page/text.ts";

beforeEach(() => {
  vi.stubGlobal("document", { baseURI: "https://apex.example/ords/r/shop/page" });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the link of a notification", () => {
  it("takes members of the payload, encoded", () => {
    expect(link("/ords/order?id=#id#", { ID: "a&b/../c" })).toBe(
      "https://apex.example/ords/order?id=a%26b%2F..%2Fc",
    );
  });

  it.each([
    ["/#a#/#b#", { a: "", b: "evil.example" }],
    ["https://#host#/x", { host: "evil.example" }],
    ["https://apex.example#rest#/x", { rest: ".evil.example" }],
    ["#scheme#:alert(1)", { scheme: "javascript" }],
  ])("%s cannot be made another host or a script", (template, payload) => {
    expect(link(template, payload)).toBeUndefined();
  });
});
