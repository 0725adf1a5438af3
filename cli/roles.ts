/** The three commands that run a service. */

/** What a process does: the three commands that run a service. */
export interface Roles {
  readonly worker: boolean;
  readonly relay: boolean;
}

export const ROLES = {
  serve: { worker: true, relay: true },
  worker: { worker: true, relay: false },
  relay: { worker: false, relay: true },
} as const satisfies Readonly<Record<string, Roles>>;

export type Role = keyof typeof ROLES;

export const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

export function roleName({ worker, relay }: Roles): Role {
  return ROLE_NAMES.find((name) => ROLES[name].worker === worker && ROLES[name].relay === relay)!;
}
