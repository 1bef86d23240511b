// Disclosures: chosen confidential fields of one record (docs/protocol.md section 15).

import { MAX_EPOCHS_BYTES } from "./epoch_proofs.js";
import { VerificationError, badProof, guarded } from "./errors.js";
import { compileSpec } from "./field_values.js";
import { versionInGenesis } from "./genesis.js";
import { digest, equal } from "./hashing.js";
import { rootFromPath } from "./merkle.js";
import { OVERHEAD_BYTES, verifyReceipt } from "./receipt.js";
import { isResource } from "./resource_rules.js";
import { versionKey } from "./stated_entries.js";
import { verifyStatement } from "./statement.js";
import { read, write } from "./strict.js";

const MAX_FIELDS = 64;
const SALT_BYTES = 16;
/** Of a disclosure without its receipt and its proof of the schema version. */
const MAX_FIELDS_BYTES = MAX_FIELDS * (65_536 + 1024);

/** More than a disclosure has (P3). */
export function maxDisclosureBytes(genesis) {
  // A receipt, and a statement, which may have as much.
  const each = genesis.parameters.max_transaction_bytes + OVERHEAD_BYTES + MAX_EPOCHS_BYTES;
  return 2 * each + MAX_FIELDS_BYTES;
}

/** Whether these bytes can be no other proof than a disclosure (P3), be it sound or not. */
export function isDisclosure(bytes) {
  try {
    const { fields, receipt } = read("Disclosure", bytes);
    return fields.length > 0 || read("Receipt", receipt).result.length > 0;
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}

/**
 * What the disclosure proves, trusting the genesis alone (P1 to P3): all that its receipt does, and in `confidential` the fields that it shows, by
 * name; null where the record has no value. `definition` is the record's schema version, a `Resource`.
 *
 * Options are those of `verifyReceipt`, and `catalogueHistory`, the bytes of the HistoryProof that links the block as of which the schema version is
 * proved with the anchor, where the genesis does not have that version.
 *
 * Throws as `verifyReceipt` and, where it proves the schema version, `verifyStatement`; SCHEMA_UNKNOWN where it does not and the genesis does not
 * have it; BAD_CATALOGUE or BAD_PATTERN where the genesis itself is not valid; BAD_FIELD and MISSING_FIELD where the record does commit to what is
 * shown, so that its department is proved to have broken the rules.
 */
export function verifyDisclosure(bytes, genesis, options = {}) {
  return guarded(async () => {
    const disclosure = readDisclosure(bytes, genesis);
    const proved = disclosure.catalogue.length > 0 ? await provedVersion(disclosure.catalogue, genesis, options) : null;
    const versionOf = (name, version) =>
      isVersion(proved, name, version) ? proved : versionInGenesis(genesis, name, version);
    const receipt = await verifyReceipt(disclosure.receipt, genesis, { ...options, versionOf });
    if (proved !== null) requireSameEpochs(disclosure);
    const { record } = receipt;
    if (record === null || !receipt.accepted || record.action === "revoke") {
      throw badProof("the receipt is of no record that was accepted and asserts");
    }
    const cited = read("Record", read("Receipt", disclosure.receipt).record.record);
    const definition = definitionOf(genesis, cited, proved);
    const specs = definition.fields.filter((spec) => spec.confidential);
    checkOrder(disclosure.fields);
    for (const field of disclosure.fields) await verifyCommitment(specs, cited.confidential_root, field);
    const shown = disclosure.fields.map(({ number, value }) => [specs.find((spec) => spec.number === number), value]);
    // Only now is it known that the department itself committed to the values.
    for (const [spec, value] of shown) checkValue(spec, value);
    const confidential = Object.fromEntries(shown.map(([spec, value]) => [spec.name, value === "" ? null : value]));
    return { ...receipt, kind: "disclosure", confidential, definition };
  });
}

function readDisclosure(bytes, genesis) {
  if (bytes?.length > maxDisclosureBytes(genesis)) throw new VerificationError("TOO_LARGE", "disclosure");
  const disclosure = read("Disclosure", bytes);
  const { receipt, catalogue } = disclosure;
  if (bytes.length - receipt.length - catalogue.length > MAX_FIELDS_BYTES) throw new VerificationError("TOO_LARGE", "fields");
  return disclosure;
}

/** The schema version that a statement proves, if it proves nothing else: there is one way to say it (P3). */
async function provedVersion(bytes, genesis, { anchor, epochs, catalogueHistory: history }) {
  await verifyStatement(bytes, genesis, { anchor, epochs, history });
  const { leaves, records, entries } = read("Statement", bytes);
  if (leaves.length > 0 || records.length > 0 || entries.length !== 1) {
    throw badProof("catalogue: not one entry and nothing else");
  }
  const [{ key, value }] = entries;
  const definition = resourceIn(value);
  if (!equal(key, versionKey(definition.name, definition.schema_version))) {
    throw badProof("catalogue: an entry that is no schema version");
  }
  return definition;
}

function resourceIn(value) {
  try {
    const resource = read("Resource", value);
    if (isResource(resource)) return resource;
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
  }
  throw badProof("catalogue: no resource, or one that no block makes");
}

/** Names are vouched for by no older keys than values: those of an epoch that is over may have been stolen since (P3). */
function requireSameEpochs({ receipt, catalogue }) {
  const later = read("Statement", catalogue).epochs;
  const isSame = read("Receipt", receipt).epochs.every(({ header }, index) => index < later.length && equal(later[index].header, header));
  if (!isSame) throw badProof("catalogue: not of the receipt's epochs");
}

function isVersion(definition, name, version) {
  return definition !== null && definition.name === name && definition.schema_version === version;
}

/** The record's schema version: the genesis', or else the one that the disclosure proves. */
function definitionOf(genesis, { resource, schema_version: version }, proved) {
  const known = versionInGenesis(genesis, resource, version);
  if (proved === null) {
    if (known === null) throw new VerificationError("SCHEMA_UNKNOWN", `version ${version}`);
    return known;
  }
  if (known !== null) throw badProof("catalogue: a proof of a schema version that the genesis has");
  if (!isVersion(proved, resource, version)) {
    throw badProof("catalogue: a proof of another schema version than the record's");
  }
  return proved;
}

function checkOrder(fields) {
  if (fields.length > MAX_FIELDS) throw badProof(`more than ${MAX_FIELDS} fields`);
  if (fields.some(({ number }, index) => index > 0 && fields[index - 1].number >= number)) {
    throw badProof("fields that are not in order");
  }
}

async function verifyCommitment(specs, root, { number, value, salt, path }) {
  const place = specs.findIndex((spec) => spec.number === number);
  if (place < 0) throw new VerificationError("UNKNOWN_FIELD", `${number} is no confidential field`);
  if (salt.length !== SALT_BYTES) throw badProof(`a salt that has not ${SALT_BYTES} bytes`);
  const leaf = await digest("confidential", salt, write("FieldValue", { number, value }));
  if (!equal(await rootFromPath(leaf, place, specs.length, path), root)) {
    throw badProof(`${specs[place].name}: not what the record commits to`);
  }
}

/** P2. */
function checkValue(spec, value) {
  if (value === "") {
    if (spec.required) throw new VerificationError("MISSING_FIELD", spec.name);
  } else if (!compileSpec(spec)(value)) throw new VerificationError("BAD_FIELD", spec.name);
}
