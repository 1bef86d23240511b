// Disclosures: chosen confidential fields of one record (docs/protocol.md section 15).

import { MAX_EPOCHS_BYTES } from "./epoch_proofs.js";
import { VerificationError, badProof, guarded } from "./errors.js";
import { compileSpec } from "./field_values.js";
import { digest, equal } from "./hashing.js";
import { rootFromPath } from "./merkle.js";
import { OVERHEAD_BYTES, verifyReceipt } from "./receipt.js";
import { read, write } from "./strict.js";

const MAX_FIELDS = 64;
const SALT_BYTES = 16;
/** Of a disclosure without its receipt. */
const MAX_FIELDS_BYTES = MAX_FIELDS * (65_536 + 1024);

/** More than a disclosure has (P3). */
export function maxDisclosureBytes(genesis) {
  return genesis.parameters.max_transaction_bytes + OVERHEAD_BYTES + MAX_EPOCHS_BYTES + MAX_FIELDS_BYTES;
}

/**
 * What the disclosure proves, trusting the genesis alone (P1 to P3): all that its receipt does, and in `confidential` the fields that it shows, by
 * name; null where the record has no value. Options are those of `verifyReceipt`.
 *
 * Throws as `verifyReceipt`, SCHEMA_UNKNOWN, and BAD_CATALOGUE or BAD_PATTERN where the genesis itself is not valid; BAD_FIELD and MISSING_FIELD where the record does commit to what is shown, so that its department is
 * proved to have broken the rules.
 */
export function verifyDisclosure(bytes, genesis, options = {}) {
  return guarded(async () => {
    if (bytes?.length > maxDisclosureBytes(genesis)) throw new VerificationError("TOO_LARGE", "disclosure");
    const disclosure = read("Disclosure", bytes);
    if (bytes.length - disclosure.receipt.length > MAX_FIELDS_BYTES) throw new VerificationError("TOO_LARGE", "fields");
    // Statements have no entries yet (Q8).
    if (disclosure.catalogue.length > 0) throw badProof("a proof of the schema version, which can't be checked here");
    const receipt = await verifyReceipt(disclosure.receipt, genesis, options);
    const { record } = receipt;
    if (record === null || !receipt.accepted || record.action === "revoke") {
      throw badProof("the receipt is of no record that was accepted and asserts");
    }
    const proved = read("Record", read("Receipt", disclosure.receipt).record.record);
    const specs = confidentialFields(genesis, proved);
    checkOrder(disclosure.fields);
    for (const field of disclosure.fields) await verifyCommitment(specs, proved.confidential_root, field);
    const shown = disclosure.fields.map(({ number, value }) => [specs.find((spec) => spec.number === number), value]);
    // Only now is it known that the department itself committed to the values.
    for (const [spec, value] of shown) checkValue(spec, value);
    const confidential = Object.fromEntries(shown.map(([spec, value]) => [spec.name, value === "" ? null : value]));
    return { ...receipt, kind: "disclosure", confidential };
  });
}

function confidentialFields(genesis, { resource, schema_version: version }) {
  const found = genesis.catalogue.get(resource);
  if (found?.schema_version !== version) throw new VerificationError("SCHEMA_UNKNOWN", `version ${version}`);
  return found.fields.filter((spec) => spec.confidential);
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
