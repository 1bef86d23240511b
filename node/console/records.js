// Records whose bytes something else commits to, and the fields of their payloads (docs/protocol.md T1, R6).

import { VerificationError, badProof } from "./errors.js";
import { HASH_BYTES, digest, equal, hex } from "./hashing.js";
import { read } from "./strict.js";
import { plainNumber } from "./verdict_values.js";

const ASSERT = 1;
const REVOKE = 2;
export const ACTIONS = new Set([ASSERT, REVOKE]);

/** Whether an action puts its version in force. */
export function asserts(action) {
  return action === ASSERT;
}

/**
 * A record, and whether its payload is shown: one that asserts may come with an empty payload though it commits to another, which was removed or
 * is not shown. Throws NOT_STRICT, BAD_PROOF.
 */
export async function readRecord(raw, payload) {
  const record = read("Record", raw);
  const isShown = equal(await digest("payload", payload), record.payload_digest);
  const mayBeRemoved = payload.length === 0 && asserts(record.action) && record.payload_digest.length === HASH_BYTES;
  if (!isShown && !mayBeRemoved) throw badProof("the payload is not the one the record commits to");
  return { record, isShown };
}

/**
 * For people and programs: `id` is its hash, the record is from `readRecord`. Fields are told where they were accepted: by name where `versionOf`,
 * given a resource's name and a schema version, has its definition, or as in the genesis' version, or by number; they are null if the payload was
 * removed or is not shown. Throws NOT_STRICT, UNKNOWN_FIELD.
 */
export function describeRecord(genesis, versionOf, id, { record, isShown }, payload, isAccepted) {
  const revokes = record.action === REVOKE;
  const fields = isAccepted && !revokes && isShown ? fieldsOf(genesis, versionOf, record, payload) : {};
  return {
    id: hex(id),
    resource: record.resource,
    subject: record.subject,
    version: plainNumber(record.version),
    replaces: hex(record.replaces),
    action: revokes ? "revoke" : "assert",
    fields: isShown ? fields : null,
    relies_on: record.relies_on.map((relied) => ({ ...relied, record_id: hex(relied.record_id) })),
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
