/** Oracle's binary NUMBER, DATE, TIMESTAMP and BINARY_DOUBLE, and the data type numbers of TTC. */

export const TYPE = {
  varchar: 1,
  number: 2,
  binaryInteger: 3,
  long: 8,
  date: 12,
  raw: 23,
  longRaw: 24,
  char: 96,
  binaryFloat: 100,
  binaryDouble: 101,
  cursor: 102,
  clob: 112,
  blob: 113,
  json: 119,
  timestamp: 180,
  timestampTz: 181,
  timestampLtz: 231,
  boolean: 252,
} as const;

const MAX_DIGITS = 40;

/**
 * NUMBER: an exponent byte to base 100 and up to 20 base-100 digits, each plus 1. A negative
 * number has the exponent's bits inverted, its digits subtracted from 101, and 102 at the end.
 */
export function encodeNumber(value: number | bigint | string): Buffer {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(String(value).trim());
  if (!match || (!match[2] && !match[3])) throw new TypeError(`not a number: ${String(value)}`);
  const negative = match[1] === "-";
  let digits = (match[2] ?? "") + (match[3] ?? "");
  // The value is 0.digits * 10^point.
  let point = (match[2] ?? "").length + Number(match[4] ?? 0);
  const leading = /^0*/.exec(digits)![0].length;
  digits = digits.slice(leading).replace(/0+$/, "");
  point -= leading;
  if (digits === "") return Buffer.from([0x80]);
  if (digits.length > MAX_DIGITS) throw new TypeError(`too many digits for a NUMBER: ${value}`);
  if (point % 2 !== 0) {
    digits = `0${digits}`;
    point += 1;
  }
  if (digits.length % 2 !== 0) digits += "0";
  const exponent = 192 + point / 2;
  if (exponent < 0x80 || exponent > 0xff) throw new TypeError(`out of range of NUMBER: ${value}`);
  const bytes = [negative ? exponent ^ 0xff : exponent];
  for (let i = 0; i < digits.length; i += 2) {
    const pair = Number(digits.slice(i, i + 2));
    bytes.push(negative ? 101 - pair : pair + 1);
  }
  if (negative && bytes.length < 21) bytes.push(102);
  return Buffer.from(bytes);
}

/** The decimal text of a NUMBER, exact. */
export function decodeNumber(bytes: Buffer): string {
  const first = bytes[0]!;
  const positive = (first & 0x80) !== 0;
  if (bytes.length === 1) return positive ? "0" : "-1e126";
  const point = ((positive ? first : first ^ 0xff) - 192) * 2;
  let body = bytes.subarray(1);
  if (!positive && body[body.length - 1] === 102) body = body.subarray(0, -1);
  let digits = "";
  for (const byte of body) digits += String(positive ? byte - 1 : 101 - byte).padStart(2, "0");
  let text: string;
  if (point <= 0) text = `0.${"0".repeat(-point)}${digits}`;
  else if (point >= digits.length) text = digits.padEnd(point, "0");
  else text = `${digits.slice(0, point)}.${digits.slice(point)}`;
  text = text.replace(/^0+(?=\d)/, "");
  if (text.includes(".")) text = text.replace(/\.?0+$/, "");
  return positive ? text : `-${text}`;
}

/**
 * DATE and TIMESTAMP carry the wall clock of this process, the WITH TIME ZONE types carry UTC:
 * the driver reads them so.
 */
export function encodeDate(date: Date, type: number): Buffer {
  const utc = type === TYPE.timestampTz || type === TYPE.timestampLtz;
  const [year, month, day, hour, minute, second] = utc
    ? [
        date.getUTCFullYear(),
        date.getUTCMonth(),
        date.getUTCDate(),
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
      ]
    : [
        date.getFullYear(),
        date.getMonth(),
        date.getDate(),
        date.getHours(),
        date.getMinutes(),
        date.getSeconds(),
      ];
  const head = Buffer.from([
    Math.trunc(year / 100) + 100,
    (year % 100) + 100,
    month + 1,
    day,
    hour + 1,
    minute + 1,
    second + 1,
  ]);
  if (type === TYPE.date) return head;
  const fraction = Buffer.alloc(4);
  fraction.writeUInt32BE((((date.getTime() % 1000) + 1000) % 1000) * 1_000_000);
  const zone = type === TYPE.timestampTz ? Buffer.from([20, 60]) : Buffer.alloc(0);
  return Buffer.concat([head, fraction, zone]);
}

export function decodeDate(bytes: Buffer, type: number): Date {
  const utc = type === TYPE.timestampTz || type === TYPE.timestampLtz;
  const year = (bytes[0]! - 100) * 100 + bytes[1]! - 100;
  const milliseconds = bytes.length >= 11 ? Math.floor(bytes.readUInt32BE(7) / 1_000_000) : 0;
  const parts = [
    year,
    bytes[2]! - 1,
    bytes[3]!,
    bytes[4]! - 1,
    bytes[5]! - 1,
    bytes[6]! - 1,
    milliseconds,
  ] as const;
  return utc ? new Date(Date.UTC(...parts)) : new Date(...parts);
}

/** An IEEE number whose bytes sort like the number: the sign bit is flipped, or all bits are. */
function flipped(bytes: Buffer, decoding: boolean): Buffer {
  const copy = Buffer.from(bytes);
  const positive = ((copy[0]! & 0x80) !== 0) === decoding;
  for (let i = 0; i < copy.length; i++) copy[i]! ^= positive ? (i === 0 ? 0x80 : 0) : 0xff;
  return copy;
}

export function encodeFloat(value: number, type: number): Buffer {
  const bytes = Buffer.alloc(type === TYPE.binaryFloat ? 4 : 8);
  if (type === TYPE.binaryFloat) bytes.writeFloatBE(value);
  else bytes.writeDoubleBE(value);
  return flipped(bytes, false);
}

export function decodeFloat(bytes: Buffer): number {
  const plain = flipped(bytes, true);
  return plain.length === 4 ? plain.readFloatBE() : plain.readDoubleBE();
}
