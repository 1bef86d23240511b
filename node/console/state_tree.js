// The state tree: its root, and what its proofs lead to (docs/protocol.md K1 to K4).

import { badProof } from "./errors.js";
import { HASH_BYTES, equal, plainHash } from "./hashing.js";

const LEAF = Uint8Array.of(2);
const NODE = Uint8Array.of(3);
const EMPTY = new Uint8Array(HASH_BYTES);
const TOP_LEVELS = 16;
const MAX_DEPTH = 8 * HASH_BYTES;

/**
 * The root that a proof leads to if the path has this digest, or, with null, if it is not there. The caller compares it with the one that he
 * trusts. Throws BAD_PROOF if no tree has such a proof.
 */
export async function rootFromProof(path, digest, proof) {
  const siblings = siblingsOf(proof);
  let current = await endOf(path, digest, proof);
  for (let depth = proof.depth - 1; depth >= 0; depth -= 1) {
    const children = bit(path, depth) ? [siblings[depth], current] : [current, siblings[depth]];
    current = await plainHash(NODE, ...children);
  }
  return current;
}

/** The root of the tree with these items, `[path, digest]` each, by the definition (K2). */
export async function treeRoot(items, depth = 0) {
  if (items.length === 0) return EMPTY;
  if (items.length === 1 && depth >= TOP_LEVELS) return plainHash(LEAF, ...items[0]);
  const left = await treeRoot(items.filter(([path]) => !bit(path, depth)), depth + 1);
  const right = await treeRoot(items.filter(([path]) => bit(path, depth)), depth + 1);
  return plainHash(NODE, left, right);
}

function bit(bytes, index) {
  return ((bytes[index >> 3] >> (7 - (index & 7))) & 1) === 1;
}

/** One for each level, from the root on. */
function siblingsOf(proof) {
  const { depth, occupied, siblings } = proof;
  if (depth > MAX_DEPTH || occupied.length !== Math.ceil(depth / 8)) throw badProof("a depth that no path has");
  const hashes = [];
  let at = 0;
  for (let level = 0; level < 8 * occupied.length; level += 1) {
    const isOccupied = bit(occupied, level);
    if (level >= depth && isOccupied) throw badProof("levels that do not fit the depth");
    hashes.push(isOccupied ? siblings.subarray(at, at + HASH_BYTES) : EMPTY);
    if (isOccupied) at += HASH_BYTES;
  }
  if (siblings.length !== at) throw badProof("siblings that do not fit the depth");
  return hashes;
}

/** The hash of the subtree in which the path ends. */
async function endOf(path, digest, proof) {
  const { depth, other_path: other, other_digest: otherDigest } = proof;
  if (path.length !== HASH_BYTES || (digest !== null && digest.length !== HASH_BYTES)) {
    throw badProof("no path or digest of a state tree");
  }
  if (other.length === 0 && otherDigest.length === 0) {
    if (digest === null) return EMPTY;
    if (depth < TOP_LEVELS) throw badProof("a leaf higher than any is");
    return plainHash(LEAF, path, digest);
  }
  if (digest !== null || other.length !== HASH_BYTES || otherDigest.length !== HASH_BYTES) {
    throw badProof("another key where the path's own is");
  }
  if (depth < TOP_LEVELS || equal(other, path) || !agree(path, other, depth)) {
    throw badProof("another key that is not on the path");
  }
  return plainHash(LEAF, other, otherDigest);
}

function agree(path, other, depth) {
  for (let level = 0; level < depth; level += 1) if (bit(path, level) !== bit(other, level)) return false;
  return true;
}
