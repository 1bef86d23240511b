// Statements: what is the newest about subjects, what else is in the state, and what there is not, as of one block (docs/protocol.md section 12).

import { epochAmong, readLimited, requireLast, requireNotOver, verifyEpochs } from "./epoch_proofs.js";
import { VerificationError, badProof, guarded } from "./errors.js";
import { HASH_BYTES, compareBytes, compareTexts, digest, equal, hex, plainHash } from "./hashing.js";
import { checkAgainst } from "./history.js";
import { OVERHEAD_BYTES } from "./receipt.js";
import { ACTIONS, asserts, describeRecord, readRecord } from "./records.js";
import { GROUP_SLOTS, PAGE_SLOTS } from "./registers.js";
import { describeBlock, verifySealed } from "./sealed_blocks.js";
import { checkAccounts, statedCatalogue, verifyEntries } from "./stated_entries.js";
import { rootFromProof } from "./state_tree.js";
import { joined, read } from "./strict.js";
import { plainNumber } from "./verdict_values.js";

const EPOCHS_FIELD = 5;
const MAX_LEAVES = 32;
const BLIND_BYTES = 16;
const ABSENT = Uint8Array.of(4);
const PRESENT = Uint8Array.of(5);
const GROUP = Uint8Array.of(6);

/**
 * What the statement proves, trusting the genesis (Q1 to Q8).
 *
 * Options: `epochs`, from `verifyBundle`, where they come apart; `anchor`, from `readAnchor`, of whose chain it must be then, and `history`,
 * the bytes of the HistoryProof that links them; `maxAgeMs`, beyond which it is refused (STALE) by the reader's clock, which is `nowMs`.
 *
 * Throws TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_PROOF, BAD_SUBJECT, UNKNOWN_FIELD,
 * MALFORMED_TRANSACTION, FORKED, STALE.
 */
export function verifyStatement(bytes, genesis, options = {}) {
  const { epochs = [], anchor = null, history = null, nowMs = Date.now(), maxAgeMs = Infinity } = options;
  return guarded(async () => {
    const limit = genesis.parameters.max_transaction_bytes + OVERHEAD_BYTES;
    const statement = readLimited("Statement", bytes, limit, EPOCHS_FIELD);
    const own = await verifyEpochs(genesis, statement.epochs);
    const ways = [own, epochs, anchor === null ? [] : [anchor.terms]];
    const terms = epochAmong(ways.flat(), statement.header);
    requireLast(own, terms);
    requireNotOver(epochs, statement.header);
    const block = await verifySealed(genesis, terms, statement.header, statement.certificate);
    checkOrder(statement);
    const { state_root: root } = block.header;
    const entries = await verifyEntries(root, statement.entries);
    const catalogue = statedCatalogue(genesis, entries);
    checkAccounts(catalogue, entries);
    const answers = [];
    for (const leaf of statement.leaves) answers.push(...(await verifyLeafProof(catalogue, root, leaf)));
    await addRecords(genesis, catalogue, statement.records, answers);
    if (anchor !== null) await checkAgainst(genesis, anchor, block, history, ways.find((way) => way.includes(terms)));
    const age = ageOf(block.header.time_ms, nowMs, maxAgeMs);
    const described = describeBlock(genesis, block, anchor);
    const shown = entries.map(({ key, value }) => ({ key: hex(key), value: value === null ? null : hex(value) }));
    return { kind: "statement", valid: true, ...described, age_ms: age, answers: answers.sort(byQuestion), entries: shown };
  });
}

/** Q5: how long ago it was so, in milliseconds; below 0 if the reader's clock is behind. */
function ageOf(timeMs, nowMs, maxAgeMs) {
  const age = nowMs - Number(timeMs);
  if (!(age <= maxAgeMs)) throw new VerificationError("STALE", `${Math.floor(age / 1000)} s old`);
  return age;
}

function checkOrder({ leaves, entries }) {
  if (leaves.length > MAX_LEAVES) throw badProof(`more than ${MAX_LEAVES} leaves`);
  if (leaves.length === 0 && entries.length === 0) throw badProof("neither leaves nor entries");
  const isBefore = (a, b) =>
    (compareTexts(a.register, b.register) || compareTexts(a.subject, b.subject) || a.page - b.page) < 0;
  if (leaves.some((leaf, index) => index > 0 && !isBefore(leaves[index - 1], leaf))) {
    throw badProof("leaves that are not in order");
  }
}

/** Q2 to Q4. */
async function verifyLeafProof(catalogue, root, leaf) {
  const page = pageOf(catalogue, leaf);
  const groups = [];
  for (const group of leaf.groups) groups.push(await verifyGroup(group));
  await verifyPath(leaf, groups, root);
  const about = new Map([...page.resources].filter(([, resource]) => catalogue.fits(resource, leaf.subject)));
  // That there is nothing about what only looks like a subject must not be taken for that there is nothing about the subject.
  if (about.size === 0) throw new VerificationError("BAD_SUBJECT", "what no record can be about");
  // A leaf that was written when its page had fewer resources holds nothing of those that came later.
  const beyond = [...about].filter(([number]) => number >= GROUP_SLOTS * groups.length);
  const answers = beyond.map(([, resource]) => answer(resource, leaf.subject, null));
  for (const [index, { shown }] of groups.entries()) {
    for (const [offset, head] of shown) {
      const resource = resourceOf(page, about, index * GROUP_SLOTS + offset);
      answers.push(answer(resource, leaf.subject, head));
    }
  }
  return answers;
}

/** The leaf's. It has as many groups as the page had when the leaf was written: perhaps fewer than now. */
function pageOf(catalogue, { register, page: number, groups }) {
  const page = catalogue.page(register, number);
  if (page === null) throw badProof("a page of which neither the genesis nor the entries name a resource");
  const isPossible = groups.length >= page.leastGroups && groups.length <= PAGE_SLOTS / GROUP_SLOTS;
  if (groups.length > 0 && !isPossible) throw badProof("a leaf with another width than its page can have");
  return page;
}

/** That of a slot which is shown (Q3). */
function resourceOf(page, about, number) {
  if (!page.resources.has(number)) {
    throw badProof("a slot of a resource that neither the genesis nor the entries name");
  }
  if (!about.has(number)) {
    throw new VerificationError("BAD_SUBJECT", "a slot of a resource that the subject does not fit");
  }
  return about.get(number);
}

async function verifyPath(leaf, groups, root) {
  const found = groups.length > 0 ? await digest("state-heads", ...groups.map(({ hash }) => hash)) : null;
  const encoder = new TextEncoder();
  const key = joined([encoder.encode(`h${leaf.register}\0${leaf.subject}\0`), Uint8Array.of(leaf.page)]);
  const proof = leaf.path ?? read("StateProof", new Uint8Array(0));
  if (!equal(await rootFromProof(await digest("state-key", key), found, proof), root)) {
    throw badProof("a path that does not lead to the block's state root");
  }
}

/** A group's hash, and `[place, head]` of each slot that it shows; head is null where there is none. */
async function verifyGroup(group) {
  if (group.hash.length > 0) {
    if (group.hash.length !== HASH_BYTES || group.slots.length > 0) {
      throw badProof("a group that is both hidden and shown");
    }
    return { hash: group.hash, shown: [] };
  }
  if (group.slots.length !== GROUP_SLOTS) throw badProof(`a group that has not ${GROUP_SLOTS} slots`);
  const [hashes, shown] = [[], []];
  for (const [place, slot] of group.slots.entries()) {
    hashes.push(await slotHash(slot));
    if (slot.hash.length === 0) shown.push([place, slot.head.length > 0 ? slot.head : null]);
  }
  return { hash: await plainHash(GROUP, ...hashes), shown };
}

/** Q3. */
async function slotHash({ hash, blind, head }) {
  if (hash.length > 0) {
    if (hash.length !== HASH_BYTES || blind.length > 0 || head.length > 0) {
      throw badProof("a slot that is both hidden and shown");
    }
    return hash;
  }
  if (blind.length !== BLIND_BYTES) throw badProof("a slot without blind");
  return head.length > 0 ? plainHash(PRESENT, blind, head) : plainHash(ABSENT, blind);
}

/** What is said of one resource: `version` 0 if there never was one, then without `record_id`. */
function answer(resource, subject, raw) {
  if (raw === null) return { resource, subject, version: 0, in_force: false, record_id: "", record: null };
  const head = read("Head", raw);
  if (head.version < 1n || head.record_id.length !== HASH_BYTES || !ACTIONS.has(head.action)) {
    throw badProof("a head that no block makes");
  }
  return {
    resource,
    subject,
    version: plainNumber(head.version),
    in_force: asserts(head.action),
    record_id: hex(head.record_id),
    record: null,
  };
}

/** Q6: puts what the records say into the answers that they belong to. */
async function addRecords(genesis, catalogue, records, answers) {
  const named = new Map(answers.filter(({ version }) => version !== 0).map((found) => [found.record_id, found]));
  let before = new Uint8Array(0);
  for (const { record: raw, payload } of records) {
    const id = await digest("record", raw);
    if (compareBytes(before, id) >= 0) throw badProof("records that are not in order");
    before = id;
    const found = named.get(hex(id));
    if (found === undefined) throw badProof("a record that no head names");
    const record = describeRecord(genesis, catalogue.version, id, await readRecord(raw, payload), payload, true);
    if (!isAbout(record, found)) throw badProof("a record that is not what its head says");
    found.record = record;
  }
}

function isAbout(record, { resource, subject, version, in_force: isInForce }) {
  const isSame = record.resource === resource && record.subject === subject && record.version === version;
  return isSame && (record.action === "revoke") === !isInForce;
}

function byQuestion(a, b) {
  return compareTexts(a.resource, b.resource) || compareTexts(a.subject, b.subject);
}
