/** Figures as the page writes them. */

export const money = new Intl.NumberFormat("en", {
  style: "currency",
  currency: "EUR",
  maximumFractionDigits: 0,
});
export const cents = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
export const whole = new Intl.NumberFormat("en");

export function milliseconds(value: number | undefined): string {
  if (value === undefined) return "-";
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** Milliseconds since 1970 with the resolution of `performance.now()`. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
