// Proofs of how the membership changed, from the genesis to any epoch (docs/protocol.md R8).

import { firstEpoch, nextEpoch, readChange } from "./epochs.js";
import { VerificationError, badProof, guarded } from "./errors.js";
import { digest, equal } from "./hashing.js";
import { verifyLeaf } from "./merkle.js";
import { verifySealed } from "./sealed_blocks.js";
import { read, sizeOf } from "./strict.js";

/** Of all proofs of epochs of one receipt, statement or history together. */
export const MAX_EPOCHS_BYTES = 4 * 1024 * 1024;
const MAX_EPOCHS = MAX_EPOCHS_BYTES / 128;
const ACCEPTED = 1;

/**
 * The epochs that an EpochBundle proves, for the option `epochs` of verifications: from the first on (R8), or, where `anchor` is given, from
 * `readAnchor`, from its epoch on (H4). Throws TOO_LARGE, and as `verifyEpochs`.
 */
export function verifyBundle(bytes, genesis, { anchor = null } = {}) {
  return guarded(async () => {
    if (bytes?.length > MAX_EPOCHS_BYTES) throw new VerificationError("TOO_LARGE", "epochs");
    return verifyEpochs(genesis, read("EpochBundle", bytes).epochs, anchor?.terms);
  });
}

/**
 * Reads something with proofs of epochs, the field with this number: what it has besides them has at most `limit` bytes. Throws TOO_LARGE,
 * NOT_STRICT.
 */
export function readLimited(type, bytes, limit, epochsField) {
  if (bytes?.length > limit + MAX_EPOCHS_BYTES) throw new VerificationError("TOO_LARGE", type);
  const message = read(type, bytes);
  const ofEpochs = sizeOf(epochsField, bytes);
  if (message.epochs.length > MAX_EPOCHS || ofEpochs > MAX_EPOCHS_BYTES || bytes.length - ofEpochs > limit) {
    throw new VerificationError("TOO_LARGE", type);
  }
  return message;
}

/** The one of some epochs that a header says it is of. Throws NOT_STRICT, EPOCH_UNKNOWN. */
export function epochAmong(epochs, header) {
  const { epoch } = read("BlockHeader", header);
  const terms = epochs.find((known) => known.epoch === epoch);
  if (terms === undefined) throw new VerificationError("EPOCH_UNKNOWN", `epoch ${epoch}`);
  return terms;
}

/**
 * No block's epoch has ended before it: its height is below the first one of the next epoch, where that is known (R9). Throws NOT_STRICT,
 * BAD_PROOF.
 */
export function requireNotOver(epochs, header) {
  const { epoch, height } = read("BlockHeader", header);
  if (epochs.some((known) => known.epoch === epoch + 1n && known.firstHeight <= height)) {
    throw badProof(`a block that epoch ${epoch} does not have: it is over`);
  }
}

/** What carries proofs of epochs, which make `own`, is of the last of them. Throws EPOCH_UNKNOWN. */
export function requireLast(own, terms) {
  if (own.length > 1 && own.at(-1).epoch !== terms.epoch) {
    throw new VerificationError("EPOCH_UNKNOWN", `epoch ${terms.epoch}, with proofs up to ${own.at(-1).epoch}`);
  }
}

/**
 * The epochs that proofs make, each following the one before, from `start` on; `start` is the first of them. Throws NOT_STRICT, WRONG_CHAIN,
 * PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_PROOF, MALFORMED_TRANSACTION.
 */
export async function verifyEpochs(genesis, proofs, start = firstEpoch(genesis)) {
  const epochs = [start];
  for (const proof of proofs) epochs.push(await verifyEpoch(genesis, epochs.at(-1), proof));
  return epochs;
}

async function verifyEpoch(genesis, current, proof) {
  const { header } = await verifySealed(genesis, current, proof.header, proof.certificate);
  const [index, size] = [proof.transaction_index, header.transaction_count];
  const id = await digest("transaction", proof.body);
  await verifyLeaf(id, index, size, proof.transaction_path, header.transactions_root);
  const body = read("TransactionBody", proof.body);
  await verifyLeaf(await digest("result", proof.result), index, size, proof.result_path, header.results_root);
  const result = read("TransactionResult", proof.result);
  if (!equal(result.transaction_id, id) || result.code !== ACCEPTED) {
    throw badProof(`no change that ended epoch ${current.epoch} was accepted`);
  }
  const operation = body.operations.length === 1 ? body.operations[0].change_membership : null;
  if (operation === null) throw badProof("the transaction is no change of the membership");
  const change = readChange(operation.change, genesis);
  if (change.epoch !== current.epoch) throw badProof(`a change for epoch ${change.epoch}`);
  return nextEpoch(genesis, current, change, header.height, index);
}
