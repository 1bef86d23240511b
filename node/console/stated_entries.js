// Entries of the state in statements, and what follows from them for resources that the genesis does not have (docs/protocol.md Q8).

import { VerificationError, badProof } from "./errors.js";
import { compileSpec } from "./field_values.js";
import { versionInGenesis } from "./genesis.js";
import { compareBytes, digest, equal } from "./hashing.js";
import { GROUP_SLOTS, MAX_REGISTER_RESOURCES, PAGE_SLOTS, pageKey, registerOf } from "./registers.js";
import { rootFromProof } from "./state_tree.js";
import { joined, read } from "./strict.js";

const MAX_ENTRIES = 64;
const [ACCOUNT, RESOURCE, HEADS, SEEN] = [..."achi"].map((letter) => letter.charCodeAt(0));
// A byte order mark is text as any other.
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What these keys have under a state root, as `{key, value}` each; value is null where they are not there. Throws BAD_PROOF. */
export async function verifyEntries(root, proofs) {
  if (proofs.length > MAX_ENTRIES) throw badProof(`more than ${MAX_ENTRIES} entries`);
  const entries = [];
  let before = new Uint8Array(0);
  for (const { key, value, path } of proofs) {
    // No key is empty.
    if (compareBytes(before, key) >= 0) throw badProof("entries that are not in order");
    before = key;
    if (key[0] === HEADS || key[0] === SEEN) throw badProof("an entry that is heads or a seen id");
    const found = value.length > 0 ? await digest("state-value", value) : null;
    const proof = path ?? read("StateProof", new Uint8Array(0));
    if (!equal(await rootFromProof(await digest("state-key", key), found, proof), root)) {
      throw badProof("an entry that does not lead to the block's state root");
    }
    entries.push({ key, value: value.length > 0 ? value : null });
  }
  return entries;
}

/**
 * The resources of the genesis, with those that a statement's entries add: `page(register, number)`, whether a subject `fits(resource, text)`, which
 * is null of a resource that is not known, and `version(resource, schemaVersion)`, or null. Throws BAD_PROOF, NOT_STRICT if no block makes such
 * entries.
 */
export function statedCatalogue(genesis, entries) {
  const versions = new Map(versionsIn(entries));
  const subjects = new Map(genesis.subjects);
  const later = new Map();
  for (const [name, state] of resourcesIn(entries)) {
    const newest = versions.get(versionName(name, state.newest_version));
    // Without it, which subjects it can have is not known, so there is nothing that could be said of it.
    if (genesis.catalogue.has(name) || newest === undefined) continue;
    subjects.set(name, subjectOf(newest));
    addTo(later, genesis, name, state.number);
  }
  return {
    page: (register, number) => pageOf(genesis, later, pageKey(register, number)),
    fits: (resource, text) => subjects.get(resource)?.(text) ?? null,
    version: (resource, schemaVersion) =>
      versionInGenesis(genesis, resource, schemaVersion) ?? versions.get(versionName(resource, schemaVersion)) ?? null,
  };
}

function addTo(later, genesis, name, position) {
  if (position >= MAX_REGISTER_RESOURCES) throw badProof("a resource with a number that none has");
  const key = pageKey(registerOf(name), Math.floor(position / PAGE_SLOTS));
  const number = position % PAGE_SLOTS;
  if (!later.has(key)) later.set(key, new Map());
  if (genesis.pages.get(key)?.resources.has(number) || later.get(key).has(number)) {
    throw badProof("two resources with one number");
  }
  later.get(key).set(number, name);
}

/** How few groups a leaf of the page may have, and the names of its resources by number; null if none is known. */
function pageOf(genesis, later, key) {
  const ofGenesis = genesis.pages.get(key);
  const resources = new Map([...(ofGenesis?.resources ?? []), ...(later.get(key) ?? [])]);
  if (resources.size === 0) return null;
  return { leastGroups: (ofGenesis?.width ?? GROUP_SLOTS) / GROUP_SLOTS, resources };
}

function subjectOf(resource) {
  try {
    return compileSpec(resource.subject ?? read("FieldSpec", new Uint8Array(0)));
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw badProof("a resource that no block makes");
  }
}

function* resourcesIn(entries) {
  for (const { key, value } of entries) {
    if (value === null || key[0] !== RESOURCE || key.includes(0)) continue;
    const name = textOf(key.subarray(1));
    if (name !== null) yield [name, read("ResourceState", value)];
  }
}

function* versionsIn(entries) {
  for (const { key, value } of entries) {
    if (value === null || key[0] !== RESOURCE || !key.includes(0)) continue;
    const resource = read("Resource", value);
    if (!equal(key, versionKey(resource.name, resource.schema_version))) {
      throw badProof("a schema version under another's key");
    }
    yield [versionName(resource.name, resource.schema_version), resource];
  }
}

/** Where the state has a schema version of a resource (D2). */
export function versionKey(name, version) {
  const number = new DataView(new ArrayBuffer(4));
  number.setUint32(0, version);
  return joined([new TextEncoder().encode(`c${name}\0`), new Uint8Array(number.buffer)]);
}

function versionName(name, version) {
  return `${version} ${name}`;
}

/** That there were no reads is said of subjects that the resource can have, and not of what only looks like one. Throws BAD_PROOF, BAD_SUBJECT. */
export function checkAccounts(catalogue, entries) {
  for (const { key, value } of entries) {
    if (value !== null || key[0] !== ACCOUNT) continue;
    const end = key.includes(0) ? key.indexOf(0) : key.length;
    const name = textOf(key.subarray(1, end)) ?? "";
    const subject = textOf(key.subarray(end + 1));
    const fits = catalogue.fits(name, subject ?? "");
    if (fits === null) throw badProof("an account of a resource that is not known");
    if (subject === null || !fits) throw new VerificationError("BAD_SUBJECT", "an account of what no record can be about");
  }
}

function textOf(bytes) {
  try {
    return TEXT.decode(bytes);
  } catch {
    return null;
  }
}
