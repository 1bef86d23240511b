// Proofs that a block is in the history of a later one, anchors, and forks (docs/protocol.md section 13).

import { epochAmong, readLimited, requireLast, requireNotOver, verifyEpochs } from "./epoch_proofs.js";
import { firstEpoch, isSameEpoch, readEpochState } from "./epochs.js";
import { VerificationError, badProof, guarded } from "./errors.js";
import { compareBytes, digest, equal, hex } from "./hashing.js";
import { rootFromPath, verifyConsistency } from "./merkle.js";
import { genesisBlock, placeOf, verifySealed } from "./sealed_blocks.js";
import { read } from "./strict.js";

const MAX_HISTORY_BYTES = 64 * 1024;
const MAX_ANCHOR_BYTES = 256 * 1024;
const HISTORY_EPOCHS_FIELD = 7;
const FORK_EPOCHS_FIELD = 5;

/**
 * Two blocks of one chain, the later one with all of the earlier one's history (H1, H2). Option: `epochs`, from `verifyBundle`, where they come
 * apart. Throws TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_PROOF, MALFORMED_TRANSACTION.
 */
export function verifyHistory(bytes, genesis, { epochs = [] } = {}) {
  return guarded(async () => {
    const { older, newer } = await verifyLink(bytes, genesis, epochs, []);
    return { kind: "history", valid: true, chain_id: hex(genesis.chainId), old: placeOf(older), new: placeOf(newer) };
  });
}

/** `known`: blocks that need no certificate, besides the genesis block. */
async function verifyLink(bytes, genesis, epochs, known) {
  const proof = readLimited("HistoryProof", bytes, MAX_HISTORY_BYTES, HISTORY_EPOCHS_FIELD);
  const own = await verifyEpochs(genesis, proof.epochs);
  const terms = [...own, ...epochs];
  const newer = await blockOf(genesis, terms, known, proof.header, proof.certificate);
  requireLast(own, newer.terms);
  const older = await blockOf(genesis, terms, known, proof.old_header, proof.old_certificate);
  const [oldHeight, height, root] = [older.header.height, newer.header.height, newer.header.history_root];
  if (oldHeight >= height) throw badProof("a history proof whose blocks are not in order");
  if (!equal(await rootFromPath(older.hash, oldHeight, height, proof.inclusion), root)) {
    throw badProof("the earlier block is not in the later one's history");
  }
  await verifyConsistency(oldHeight, height, older.header.history_root, root, proof.consistency);
  return { older, newer };
}

async function blockOf(genesis, terms, known, raw, certificate) {
  if (certificate.length === 0) {
    const hash = await digest("block", raw);
    const trusted = [...known, await genesisBlock(genesis)].find((block) => equal(block.hash, hash));
    if (trusted !== undefined) return trusted;
  }
  requireNotOver(terms, raw);
  return verifySealed(genesis, epochAmong(terms, raw), raw, certificate);
}

/**
 * An anchor, for the option `anchor` of verifications: a block that is trusted for having been given as one, as the genesis is. Its certificate
 * only shows that the file is whole (H3). Throws TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_PROOF,
 * BAD_CERTIFICATE.
 */
export function readAnchor(bytes, genesis) {
  return guarded(async () => {
    if (bytes?.length > MAX_ANCHOR_BYTES) throw new VerificationError("TOO_LARGE", "anchor");
    const { header, certificate, epoch } = read("Anchor", bytes);
    const first = await genesisBlock(genesis);
    if (equal(header, first.raw) && certificate.length === 0 && epoch === null) return first;
    return verifySealed(genesis, epoch === null ? firstEpoch(genesis) : readEpochState(epoch), header, certificate);
  });
}

/**
 * That a proved block is of the anchor's chain: the same block, or linked with it by a HistoryProof, whose bytes are `history` or null (H4).
 * `epochs`: those by which the block's own was proved, one following from the other. Throws EPOCH_UNKNOWN if the block is no earlier one, and
 * its epoch does not follow from the anchor's; FORKED if they are two blocks of one height; BAD_PROOF and others if the proof does not link them.
 */
export async function checkAgainst(genesis, anchor, block, history, epochs) {
  const follows = block.terms.epoch >= anchor.terms.epoch && epochs.some((terms) => isSameEpoch(terms, anchor.terms));
  if (block.header.height >= anchor.header.height && !follows) {
    // A later block links with whatever those like to whose keys it is sealed.
    throw new VerificationError("EPOCH_UNKNOWN", `epoch ${block.terms.epoch}, which does not follow from the anchor's`);
  }
  if (block.header.height === anchor.header.height) {
    if (!equal(block.hash, anchor.hash)) throw new VerificationError("FORKED", `height ${anchor.header.height}`);
    return;
  }
  if (history === null || history.length === 0) throw badProof("no history proof between the block and the anchor");
  const { older, newer } = await verifyLink(history, genesis, [block.terms, anchor.terms], [anchor, block]);
  const isBoth = [older, newer].every(({ hash }) => equal(hash, anchor.hash) || equal(hash, block.hash));
  if (!isBoth) throw badProof("the history proof is about other blocks");
}

/**
 * Two different blocks of one height, both sealed by a quorum (H5). Throws TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN,
 * BAD_CERTIFICATE, BAD_PROOF, MALFORMED_TRANSACTION.
 */
export function verifyFork(bytes, genesis) {
  return guarded(async () => {
    const fork = readLimited("Fork", bytes, MAX_HISTORY_BYTES, FORK_EPOCHS_FIELD);
    const epochs = await verifyEpochs(genesis, fork.epochs);
    const sealed = (raw, certificate) => verifySealed(genesis, epochAmong(epochs, raw), raw, certificate);
    const first = await sealed(fork.header, fork.certificate);
    const second = await sealed(fork.other_header, fork.other_certificate);
    requireLast(epochs, first.terms.epoch > second.terms.epoch ? first.terms : second.terms);
    if (first.header.height !== second.header.height || compareBytes(first.hash, second.hash) >= 0) {
      throw badProof("not two blocks of one height, in the order of their hashes");
    }
    const blocks = [placeOf(first), placeOf(second)];
    return { kind: "fork", valid: true, chain_id: hex(genesis.chainId), blocks };
  });
}
