// Records whose bytes something else commits to, and the fields of their payloads (docs/protocol.md T1, R6).

import { VerificationError, badProof } from "./errors.js";
import { digest, equal, hex } from "./hashing.js";
import { read } from "./strict.js";
import { plainNumber } from "./verdict_values.js";

const ASSERT = 1;
const REVOKE = 2;
export const ACTIONS = new Set([ASSERT, REVOKE]);

/** Whether an action puts its version in force. */
export function asserts(action) {
  return action === ASSERT;
}

/** Reads a record and checks that the payload is the one it commits to. Throws NOT_STRICT, BAD_PROOF. */
export async function readRecord(raw, payload) {
  const record = read("Record", raw);
  if (!equal(await digest("payload", payload), record.payload_digest)) {
    throw badProof("the payload is not the one the record commits to");
  }
  return record;
}

/**
 * For people and programs: `id` is its hash; the fields are shown where they were accepted: by name where `versionOf`, given a resource's name
 * and a schema version, has its definition, or as in the genesis' version, or by number. Throws NOT_STRICT, UNKNOWN_FIELD.
 */
export function describeRecord(genesis, versionOf, id, record, payload, isAccepted) {
  const revokes = record.action === REVOKE;
  return {
    id: hex(id),
    resource: record.resource,
    subject: record.subject,
    version: plainNumber(record.version),
    replaces: hex(record.replaces),
    action: revokes ? "revoke" : "assert",
    fields: isAccepted && !revokes ? fieldsOf(genesis, versionOf, record, payload) : {},
  };
}

/** By name, or by number where the genesis does not know it: a number keeps its name in all versions. */
function fieldsOf(genesis, versionOf, { resource: name, schema_version: version }, payload) {
  const cited = versionOf(name, version);
  const isKnown = cited !== null;
  const resource = cited ?? genesis.catalogue.get(name);
  const { fields } = read("Payload", payload);
  const named = isKnown ? resource.fields : (resource?.fields ?? []).filter((field) => !field.confidential);
  const names = new Map(named.map((field) => [field.number, field.name]));
  const values = new Map();
  for (const { number, value } of fields) {
    if (isKnown && !names.has(number)) throw new VerificationError("UNKNOWN_FIELD", `${name} has no field ${number}`);
    values.set(names.get(number) ?? `#${number}`, value);
  }
  return Object.fromEntries(values);
}
