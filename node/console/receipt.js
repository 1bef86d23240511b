// Receipts: how a transaction ended, and one of its records (docs/protocol.md section 9).

import { readLimited, requireNotOver, verifyEpochs } from "./epoch_proofs.js";
import { VerificationError, badProof, guarded } from "./errors.js";
import { digest, equal, hex, verifies } from "./hashing.js";
import { versionInGenesis } from "./genesis.js";
import { checkAgainst } from "./history.js";
import { rootFromPath, verifyLeaf } from "./merkle.js";
import { describeRecord, readRecord } from "./records.js";
import { INCONCLUSIVE, RESULTS } from "./results.js";
import { describeBlock, verifySealed } from "./sealed_blocks.js";
import { read } from "./strict.js";

/** More than all of a receipt or statement besides what is in its transaction or records. */
export const OVERHEAD_BYTES = 64 * 1024;
const EPOCHS_FIELD = 10;

/**
 * What the receipt proves, trusting the genesis alone (R1 to R9). Numbers above 2^53 are BigInts.
 *
 * Options: `anchor`, from `readAnchor`, of whose chain it must be then, and `history`, the bytes of the HistoryProof that links them; `epochs`,
 * from `verifyBundle`, which tell when the receipt's own epoch was over; `versionOf`, which gives the schema versions that are known (R6), by name
 * and number, or null: those of the genesis unless given.
 *
 * Throws TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_SIGNATURE, BAD_PROOF, UNKNOWN_FIELD,
 * MALFORMED_TRANSACTION, FORKED.
 */
export function verifyReceipt(bytes, genesis, options = {}) {
  const { anchor = null, history = null, epochs: known = [], versionOf = versionInGenesis.bind(null, genesis) } = options;
  return guarded(async () => {
    const limit = genesis.parameters.max_transaction_bytes + OVERHEAD_BYTES;
    const receipt = readLimited("Receipt", bytes, limit, EPOCHS_FIELD);
    const epochs = await verifyEpochs(genesis, receipt.epochs);
    requireNotOver(known, receipt.header);
    const block = await verifySealed(genesis, epochs.at(-1), receipt.header, receipt.certificate);
    const { body, id } = await verifyTransaction(receipt, block.header, genesis);
    const result = await verifyResult(receipt, block.header, id);
    const code = RESULTS.get(result.code);
    const accepted = code === "ACCEPTED";
    const record = receipt.record === null ? null : await verifyRecord(receipt.record, body, genesis, versionOf, accepted);
    if (anchor !== null) await checkAgainst(genesis, anchor, block, history, epochs);
    return {
      kind: "receipt",
      valid: true,
      accepted,
      refusal: accepted ? null : code,
      conclusive: !INCONCLUSIVE.has(code),
      ...describeBlock(genesis, block, anchor),
      transaction_id: hex(id),
      department: body.department,
      index: result.index,
      record,
    };
  });
}

async function verifyTransaction(receipt, header, genesis) {
  const id = await digest("transaction", receipt.body);
  const [index, size] = [receipt.transaction_index, header.transaction_count];
  await verifyLeaf(id, index, size, receipt.transaction_path, header.transactions_root);
  const body = read("TransactionBody", receipt.body);
  if (!equal(body.chain_id, genesis.chainId)) throw new VerificationError("WRONG_CHAIN", "transaction");
  if (!(await verifies("sign-transaction", body.public_key, receipt.body, receipt.signature))) {
    throw new VerificationError("BAD_SIGNATURE", "transaction");
  }
  return { body, id };
}

async function verifyResult(receipt, header, id) {
  const leaf = await digest("result", receipt.result);
  const [index, size] = [receipt.transaction_index, header.transaction_count];
  await verifyLeaf(leaf, index, size, receipt.result_path, header.results_root);
  const result = read("TransactionResult", receipt.result);
  if (!equal(result.transaction_id, id)) throw badProof("the result is another transaction's");
  if (!RESULTS.has(result.code)) throw badProof("a result code this version does not know");
  return result;
}

async function verifyRecord(proof, body, genesis, versionOf, accepted) {
  const id = await digest("record", proof.record);
  const root = await rootFromPath(id, proof.index, body.record_count, proof.path);
  if (!equal(root, body.records_root)) throw badProof("the record's audit path does not lead to the records root");
  const found = await readRecord(proof.record, proof.payload);
  return describeRecord(genesis, versionOf, id, found, proof.payload, accepted);
}
