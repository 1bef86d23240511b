// How a transaction may end (ResultCode in transaction.proto; docs/protocol.md X3).

const NAMES = [
  "ACCEPTED",
  "UNKNOWN_KEY",
  "REVOKED_KEY",
  "KEY_NOT_ALLOWED",
  "EXPIRED",
  "LIFETIME_TOO_LONG",
  "REPEATED",
  "UNKNOWN_RESOURCE",
  "NOT_OWNER",
  "BAD_SUBJECT",
  "SCHEMA_MISMATCH",
  "BAD_PAYLOAD",
  "UNKNOWN_FIELD",
  "MISSING_FIELD",
  "BAD_FIELD",
  "VERSION_CONFLICT",
  "NOTHING_TO_REVOKE",
  "KEY_EXISTS",
  "BAD_KEY",
  "LAST_ADMIN_KEY",
  "WRONG_EPOCH",
  "CHANGE_PENDING",
  "CHANGE_EXPIRED",
  "NOT_APPROVED",
  "BAD_DEPARTMENT",
  "BAD_REPLICA",
  "TOO_FEW_REPLICAS",
  "TOO_MANY_REPLICAS",
  "TOO_MUCH_AT_ONCE",
  "BAD_VERSION",
];

/** Names by number, from 1 on. */
export const RESULTS = new Map(NAMES.map((name, index) => [index + 1, name]));

/** Refusals that say nothing of how the same transaction ended in another block (R7). */
export const INCONCLUSIVE = new Set(["LIFETIME_TOO_LONG", "EXPIRED", "REPEATED"]);
