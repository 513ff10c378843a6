/** The rights that a request may need; "open" needs none. */
export const RIGHTS = ["read", "submit", "administer"] as const;
export type Right = (typeof RIGHTS)[number];

/** The roles of users, the least first. */
export const ROLES = ["reader", "analyst", "administrator"] as const;
export type Role = (typeof ROLES)[number];

/** The rights that each role has. */
export const RIGHTS_OF: Readonly<Record<Role, readonly Right[]>> = {
  reader: ["read"],
  analyst: ["read", "submit"],
  administrator: ["read", "submit", "administer"],
};

/** Somebody who makes a request. */
export interface Caller {
  /** The name of the user. */
  readonly user: string;
  readonly role: Role;
  readonly rights: ReadonlySet<Right>;
  /** How the caller is known: by a session of a browser, or a token. */
  readonly by: { readonly kind: "session"; readonly csrf: string; readonly hash: string } | { readonly kind: "token"; readonly id: string }; // prettier-ignore
}

/** The form of users' names: they stand in addresses and logs. */
export const USER_NAME = /^[a-z][a-z0-9._-]{0,31}$/;
