/** The two messages before logon: protocol and data types. */
import { type Reader, Writer } from "./codec.ts";
import type { Profile } from "./profiles.ts";

const CHARSET_AL32UTF8 = 873;
const COMPILE_CAPS = 53;
const RUNTIME_CAPS = 7;
const CAP_FIELD_VERSION = 7;
const CAP_TIME_ZONE = 1;
const CAP_STRINGS = 6;
const STRINGS_32K = 0x04;
/** DBTIMEZONE as an interval with a bias of 60 on hours and minutes: +00:00. */
const TIME_ZONE_UTC = Buffer.from([0x80, 0, 0, 0, 60, 60, 0x80, 0, 0, 0, 0]);

export function protocolAnswer(profile: Profile): Buffer {
  const fdo = Buffer.alloc(11);
  // The national character set, AL16UTF16, where the driver looks for it.
  fdo.writeUInt16BE(2000, 9);
  const compileCaps = Buffer.alloc(COMPILE_CAPS);
  compileCaps[CAP_FIELD_VERSION] = profile.fieldVersion;
  const runtimeCaps = Buffer.alloc(RUNTIME_CAPS);
  runtimeCaps[CAP_TIME_ZONE] = 1;
  runtimeCaps[CAP_STRINGS] = STRINGS_32K;
  return new Writer()
    .u8(1, 6, 0)
    .raw(Buffer.from(`${profile.banner}\0`))
    .u16le(CHARSET_AL32UTF8)
    .u8(0)
    .u16le(0)
    .u16(fdo.length)
    .raw(fdo)
    .bytes(compileCaps)
    .bytes(runtimeCaps)
    .finish();
}

/** The driver does not look at the list of types: an empty one will do. */
export function dataTypesAnswer(): Buffer {
  return new Writer().u8(2).raw(TIME_ZONE_UTC).u16(0).finish();
}

/** Skips to the logon message inside a fast-auth message (after its type byte). */
export function skipFastAuthPrefix(reader: Reader): void {
  reader.skip(3); // version, flags
  reader.skip(3); // protocol message: type, version, terminator
  while (reader.u8() !== 0); // driver name
  reader.skip(5 + 1); // character sets, field version
  reader.skip(1 + 2 + 2 + 1); // data types message: type, character sets, encoding
  reader.bytes(); // compile capabilities
  const runtimeCaps = reader.bytes();
  if (runtimeCaps && runtimeCaps[CAP_TIME_ZONE] === 1) reader.skip(TIME_ZONE_UTC.length);
  // Entries of 8 bytes until a zero type.
  while (reader.raw(2).readUInt16BE(0) !== 0) reader.skip(6);
}
