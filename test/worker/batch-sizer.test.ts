import { describe, expect, it } from "vitest";
import { BatchSizer } from "../../worker/batch-sizer.ts";

describe("BatchSizer", () => {
  it("starts with the configured batch", () => {
    expect(new BatchSizer(100, 1_903_000_000).next()).toBe(100);
  });

  it("keeps answers below 64 KiB before 23ai", () => {
    const sizer = new BatchSizer(100, 1_903_000_000);
    sizer.observe(100, 100 * 16_000);
    expect(sizer.next()).toBe(4);
    sizer.observe(1, 200_000);
    expect(sizer.next()).toBe(1);
  });

  it("grows again slowly", () => {
    const sizer = new BatchSizer(100, 1_903_000_000);
    sizer.observe(1, 16_000);
    const sizes = Array.from({ length: 40 }, () => {
      sizer.observe(10, 2000);
      return sizer.next();
    });
    expect(sizes[0]).toBeLessThan(6);
    expect(sizes.at(-1)).toBe(100);
  });

  it("is generous from 23.4 on", () => {
    const sizer = new BatchSizer(100, 2_304_000_000);
    sizer.observe(100, 100 * 16_000);
    expect(sizer.next()).toBe(100);
  });
});
