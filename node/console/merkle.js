// Merkle trees of RFC 9162, section 2.1: inclusion and consistency proofs (docs/protocol.md B5).

import { badProof } from "./errors.js";
import { HASH_BYTES, equal, plainHash } from "./hashing.js";
import { joined } from "./strict.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** The root of the tree without leaves. */
export function emptyRoot() {
  return plainHash();
}

/**
 * The root that an audit path leads to (RFC 9162, 2.1.3.2); the caller compares it with the one that he trusts. Index and size are numbers
 * or BigInts. Throws BAD_PROOF if no tree of this size has such a path.
 */
export async function rootFromPath(leaf, index, size, path) {
  if (!(index >= 0 && index < size)) throw badProof("no such leaf in a tree of this size");
  checkHashes(path);
  const way = new Way(BigInt(index), BigInt(size) - 1n);
  let current = await plainHash(LEAF, leaf);
  for (const sibling of path) {
    if (way.isAtRoot) throw badProof("the path is too long");
    current = way.goUp() ? await plainHash(NODE, sibling, current) : await plainHash(NODE, current, sibling);
  }
  if (!way.isAtRoot) throw badProof("the path is too short");
  return current;
}

/** Throws BAD_PROOF unless the path leads from the leaf to the root. */
export async function verifyLeaf(leaf, index, size, path, root) {
  if (!equal(await rootFromPath(leaf, index, size, path), root)) {
    throw badProof("an audit path does not lead to the root");
  }
}

/** Throws BAD_PROOF unless the tree with `oldRoot` is a prefix of that with `newRoot` (RFC 9162, 2.1.4.2). */
export async function verifyConsistency(oldSize, size, oldRoot, newRoot, path) {
  if (!(oldSize >= 0 && oldSize <= size)) throw badProof("the old tree is no prefix");
  checkHashes(path);
  const [older, newer] = [BigInt(oldSize), BigInt(size)];
  if (older === 0n || older === newer) {
    const expected = older === 0n ? await emptyRoot() : newRoot;
    if (path.length > 0 || !equal(oldRoot, expected)) throw badProof("the trees differ");
    return;
  }
  const isComplete = (older & (older - 1n)) === 0n;
  const nodes = isComplete ? [oldRoot, ...path] : path;
  const found = nodes.length > 0 && (await foldConsistency(older, newer, nodes));
  if (!found || !equal(found[0], oldRoot) || !equal(found[1], newRoot)) throw badProof("the trees differ");
}

/** The old and the new root that a consistency path leads to, or null if its length is wrong. */
async function foldConsistency(oldSize, size, nodes) {
  const way = new Way(oldSize - 1n, size - 1n);
  way.skipCompleted();
  let [older, newer] = [nodes[0], nodes[0]];
  for (const sibling of nodes.slice(1)) {
    if (way.isAtRoot) return null;
    if (way.goUp()) {
      older = await plainHash(NODE, sibling, older);
      newer = await plainHash(NODE, sibling, newer);
    } else {
      newer = await plainHash(NODE, newer, sibling);
    }
  }
  return way.isAtRoot ? [older, newer] : null;
}

/** From a node up to the root: `node` is its place on its level, `last` that of the level's last node. */
class Way {
  constructor(node, last) {
    this.node = node;
    this.last = last;
  }

  get isAtRoot() {
    return this.last === 0n;
  }

  /** To the next level that has a sibling; says whether that is on the left. */
  goUp() {
    const isOnLeft = (this.node & 1n) === 1n || this.node === this.last;
    if (isOnLeft) while ((this.node & 1n) === 0n && this.node > 0n) this.step();
    this.step();
    return isOnLeft;
  }

  /** Past the levels on which the node is a right child. */
  skipCompleted() {
    while ((this.node & 1n) === 1n) this.step();
  }

  step() {
    this.node >>= 1n;
    this.last >>= 1n;
  }
}

// A longer "hash" could hide two nodes, a leaf's content for instance.
function checkHashes(hashes) {
  if (hashes.some((hash) => hash.length !== HASH_BYTES)) throw badProof("a node has not the length of a hash");
}

/** The root over these leaf data. */
export async function rootOf(leaves) {
  if (leaves.length === 0) return emptyRoot();
  let level = await Promise.all(leaves.map((leaf) => plainHash(LEAF, leaf)));
  while (level.length > 1) {
    const pairs = [];
    for (let left = 0; left < level.length; left += 2) pairs.push(level.slice(left, left + 2));
    level = await Promise.all(pairs.map((pair) => (pair.length === 2 ? plainHash(NODE, joined(pair)) : pair[0])));
  }
  return level[0];
}
