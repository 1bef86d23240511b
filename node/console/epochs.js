// Epochs: who votes, by which version of the rules, from which height on, and what a change makes of one (docs/protocol.md M1 to M5).

import { isAdmissibleKey } from "./ed25519.js";
import { VerificationError, badProof } from "./errors.js";
import { memberOf } from "./genesis.js";
import { equal, hex } from "./hashing.js";
import { read } from "./strict.js";

const MAX_CHANGE_BYTES = 32 * 1024;
const MAX_ACTIONS = 16;
const MAX_REPLICAS = 256;
const SAFE_REPLICAS = 4;

/** q of n replicas: so many that any two quorums share a correct replica (I2). */
export function quorum(n) {
  return Math.floor((n + Math.floor((n - 1) / 3)) / 2) + 1;
}

// Members are in ascending order of their ids; `epoch` and `firstHeight` are BigInts. `change`: block and position of the transaction that made it.
function epochTerms(epoch, members, firstHeight, protocolVersion, highestReplica, change) {
  return Object.freeze({ epoch, members, firstHeight, protocolVersion, highestReplica, change });
}

/** Whether two epochs are one and the same, however each was proved. */
export function isSameEpoch(a, b) {
  const all = ({ epoch, members, firstHeight, protocolVersion, highestReplica, change }) =>
    [epoch, firstHeight, protocolVersion, highestReplica, ...change, ...members.map(nameOf)].join("\n");
  return all(a) === all(b);
}

function nameOf({ replica, department, publicKey }) {
  return `${replica} ${hex(publicKey)} ${department}`;
}

/** Epoch 0. */
export function firstEpoch(genesis) {
  return epochTerms(0n, genesis.members, 0n, genesis.protocolVersion, genesis.members.at(-1).replica, []);
}

/** The epoch of an `EpochState` that somebody outside tells of. Throws BAD_PROOF if there can be none like it. */
export function readEpochState(state) {
  const members = state.replicas.map(memberOf);
  const isOrdered = members.every(({ replica }, index) => replica > (index > 0 ? members[index - 1].replica : 0));
  const isOfOne = state.epoch > 0n && members.length >= 1 && members.length <= MAX_REPLICAS && isOrdered;
  if (!isOfOne || !members.every(({ publicKey }) => isAdmissibleKey(publicKey))) {
    throw badProof("an epoch that no change makes");
  }
  const change = [state.change_height, state.change_index];
  return epochTerms(state.epoch, members, state.first_height, state.protocol_version, state.highest_replica, change);
}

// --- changes of the membership ---

/** A change of this chain, its actions not looked at yet (M2). Throws MALFORMED_TRANSACTION, NOT_STRICT, WRONG_CHAIN. */
export function readChange(raw, genesis) {
  if (raw.length > MAX_CHANGE_BYTES) throw malformed(`a change of the membership has at most ${MAX_CHANGE_BYTES} bytes`);
  const change = read("MembershipChange", raw);
  if (!equal(change.chain_id, genesis.chainId)) throw new VerificationError("WRONG_CHAIN", "change of the membership");
  if (!(change.actions.length >= 1 && change.actions.length <= MAX_ACTIONS)) {
    throw malformed(`a change of the membership has 1 to ${MAX_ACTIONS} actions`);
  }
  return change;
}

function malformed(detail) {
  return new VerificationError("MALFORMED_TRANSACTION", detail);
}

/**
 * The epoch that a change makes: M4 as far as ids, versions and numbers go, and M5. `height` and `index`: of the block in which it was accepted, and
 * its position there. Throws BAD_PROOF, NOT_STRICT.
 */
export function nextEpoch(genesis, current, change, height, index) {
  const draft = {
    members: new Map(current.members.map((member) => [member.replica, member])),
    touched: new Set(),
    highest: current.highestReplica,
    version: current.protocolVersion,
  };
  for (const action of change.actions) takeAction(draft, action);
  const members = [...draft.members.values()].sort((a, b) => a.replica - b.replica);
  checkSize(current.members, members);
  const firstHeight = height + BigInt(genesis.parameters.watermark_window) + 1n;
  return epochTerms(current.epoch + 1n, members, firstHeight, draft.version, draft.highest, [height, index]);
}

function takeAction(draft, action) {
  if (action.add_replica !== null) {
    const member = readSeat(action.add_replica);
    if (member.replica <= draft.highest) throw refused();
    draft.highest = member.replica;
    draft.touched.add(member.replica);
    draft.members.set(member.replica, member);
  } else if (action.remove_replica !== null) {
    draft.members.delete(present(draft, action.remove_replica.replica).replica);
  } else if (action.replace_key !== null) {
    const member = readSeat(action.replace_key);
    if (present(draft, member.replica).department !== member.department) throw refused();
    draft.members.set(member.replica, member);
  } else if (action.activate_protocol !== null) {
    if (action.activate_protocol.version !== draft.version + 1) throw refused();
    draft.version += 1;
  }
}

function readSeat(seat) {
  return memberOf(read("Replica", seat.replica));
}

/** A member that no other action is about. */
function present(draft, replica) {
  const member = draft.members.get(replica);
  if (member === undefined || draft.touched.has(replica)) throw refused();
  draft.touched.add(replica);
  return member;
}

function checkSize(before, after) {
  if (after.length < Math.min(before.length, SAFE_REPLICAS) || after.length > MAX_REPLICAS) throw refused();
  const stay = new Set(before.map(nameOf));
  const kept = after.filter((member) => stay.has(nameOf(member))).length;
  if (before.length >= SAFE_REPLICAS && kept < quorum(after.length)) throw refused();
}

function refused() {
  return badProof("a change of the membership that no correct replica accepts");
}
