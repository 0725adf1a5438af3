/** The releases of the database whose framing is spoken. */

/** What distinguishes the framings on the wire. */
export interface Profile {
  /** TNS protocol version of ACCEPT. The driver reads accept flags from 318, end of response from 319. */
  readonly tnsVersion: number;
  /** 0x02000000: every answer ends with a marked packet; 0x10000000: logon in one round trip. */
  readonly acceptFlags: number;
  readonly endOfResponse: boolean;
  readonly fastAuth: boolean;
  /** TTC field version: fixes the layout of every later message. */
  readonly fieldVersion: number;
  /** AUTH_VERSION_NO: the release as the driver shows it. */
  readonly versionNumber: number;
  readonly banner: string;
}

export type ProfileName = "19c" | "23ai";

export const PROFILES: Record<ProfileName, Profile> = {
  "19c": {
    tnsVersion: 318,
    acceptFlags: 0,
    endOfResponse: false,
    fastAuth: false,
    fieldVersion: 13,
    versionNumber: (19 << 24) | (3 << 16),
    banner: "apex-rtm AQ emulator (19c framing)",
  },
  "23ai": {
    tnsVersion: 319,
    acceptFlags: 0x1200_0000,
    endOfResponse: true,
    fastAuth: true,
    fieldVersion: 24,
    versionNumber: (23 << 24) | (26 << 16),
    banner: "apex-rtm AQ emulator (23ai framing)",
  },
};

/** From which field version on a member is there. */
export const SINCE = {
  subscribeExtras: 7,
  sqlSignature: 8,
  chunkIds: 9,
  errorTail: 14,
  jsonPayload: 14,
  shard: 16,
  domain: 17,
  token: 18,
  annotations: 20,
  vector: 24,
} as const;
