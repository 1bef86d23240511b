// What a verifier takes from the genesis file (docs/protocol.md I1), and the block that follows from it (X7).
//
// The file itself is trusted, by its chain id, which is its hash: only what verifying stands on is checked here. That it keeps all of I1 and
// F6, those who founded the network have seen to.

import { isAdmissibleKey } from "./ed25519.js";
import { VerificationError, guarded } from "./errors.js";
import { compileSpec } from "./field_values.js";
import { compareTexts, digest, hex } from "./hashing.js";
import { emptyRoot } from "./merkle.js";
import { assignSlots, fitsPages, registerPages } from "./registers.js";
import { treeRoot } from "./state_tree.js";
import { contents, joined, read, write } from "./strict.js";

const MAX_GENESIS_BYTES = 4 * 1024 * 1024;
const PROTOCOL_VERSION = 3;
const SUITE = "ed25519-sha256";
const MAX_REPLICAS = 256;
const MAX_TIME_MS = 253_402_300_799_999n;
const ADMIN = 2;
const CATALOGUE_FIELD = 8;
const DUTIES_FIELD = 9;
const PAGE_SLOTS = 16;

/**
 * Reads a genesis file. `chainId`: what its hash must be, in hex, as it was published; without it, compare `hex(genesis.chainId)` yourself.
 * Throws BAD_GENESIS, BAD_CATALOGUE, SUITE_UNKNOWN, SUITE_REFUSED, WRONG_CHAIN.
 */
export function readGenesis(bytes, { chainId = null } = {}) {
  return guarded(async () => {
    const message = checkedMessage(bytes);
    const ownId = await digest("genesis", bytes);
    if (chainId !== null && hex(ownId) !== String(chainId).toLowerCase()) {
      throw new VerificationError("WRONG_CHAIN", "genesis");
    }
    const names = message.catalogue.map((resource) => resource.name);
    const slots = assignSlots(names);
    return Object.freeze({
      raw: bytes,
      chainId: ownId,
      name: message.name,
      timeMs: message.time_ms,
      parameters: message.parameters,
      departments: message.departments,
      members: message.replicas.map(memberOf),
      protocolVersion: PROTOCOL_VERSION,
      knownVersions: new Set([PROTOCOL_VERSION]),
      catalogue: new Map(message.catalogue.map((resource) => [resource.name, resource])),
      duties: message.duties,
      subjects: new Map(message.catalogue.map((resource) => [resource.name, subjectOf(resource)])),
      slots,
      pages: registerPages(slots),
    });
  });
}

/** A schema version of a resource, if it is that of the genesis; else null. */
export function versionInGenesis(genesis, name, schemaVersion) {
  const resource = genesis.catalogue.get(name);
  return resource !== undefined && resource.schema_version === schemaVersion ? resource : null;
}

/** A voting replica, of a `Replica`. */
export function memberOf(replica) {
  return { replica: replica.id, department: replica.department, publicKey: replica.public_key };
}

/** Whether records of a resource can be about a subject, as a function. */
function subjectOf({ name, subject }) {
  try {
    return compileSpec(subject ?? read("FieldSpec", new Uint8Array(0)));
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    throw new VerificationError("BAD_CATALOGUE", `${name}: subject: ${error.detail}`);
  }
}

function bad(detail) {
  return new VerificationError("BAD_GENESIS", detail);
}

function checkedMessage(bytes) {
  if (!(bytes instanceof Uint8Array) || bytes.length > MAX_GENESIS_BYTES) throw bad("no bytes, or too many");
  const message = strictly(bytes);
  if (message.protocol_version !== PROTOCOL_VERSION) throw bad(`protocol version ${message.protocol_version}`);
  if (message.suite === "simulation") throw new VerificationError("SUITE_REFUSED");
  if (message.suite !== SUITE) throw new VerificationError("SUITE_UNKNOWN");
  if (message.time_ms > MAX_TIME_MS) throw bad("time_ms is after the year 9999");
  checkParameters(message.parameters);
  const ids = message.replicas.map((replica) => replica.id);
  if (!(ids[0] >= 1) || ids.length > MAX_REPLICAS) throw bad("replicas: not 1 to 256, with ids from 1");
  requireAscending("replicas", ids, (a, b) => a - b);
  if (!message.replicas.every((replica) => isAdmissibleKey(replica.public_key))) throw bad("a key is not admissible");
  requireAscending("departments", message.departments.map((department) => department.id), compareTexts);
  const names = message.catalogue.map((resource) => resource.name);
  requireAscending("catalogue", names, compareTexts);
  if (!fitsPages(names)) throw bad("catalogue: too many resources in a register");
  return message;
}

function strictly(bytes) {
  try {
    return read("Genesis", bytes);
  } catch {
    throw bad("not a genesis file in strict form");
  }
}

function checkParameters(parameters) {
  const window = parameters?.watermark_window ?? 0;
  const size = parameters?.max_transaction_bytes ?? 0;
  if (!(window >= 4 && window <= 1024)) throw bad("parameters.watermark_window");
  if (!(size >= 32 * 1024 && size <= 16 * 1024 * 1024)) throw bad("parameters.max_transaction_bytes");
}

function requireAscending(what, values, compare) {
  for (let index = 1; index < values.length; index += 1) {
    if (compare(values[index - 1], values[index]) >= 0) throw bad(`${what}: not in strictly ascending order`);
  }
}

const headers = new WeakMap();

/** The header of block 0, in strict form. */
export function genesisHeader(genesis) {
  if (!headers.has(genesis)) headers.set(genesis, makeHeader(genesis));
  return headers.get(genesis);
}

async function makeHeader(genesis) {
  const empty = await emptyRoot();
  return write("BlockHeader", {
    chain_id: genesis.chainId,
    parent_hash: new Uint8Array(32),
    time_ms: genesis.timeMs,
    protocol_version: PROTOCOL_VERSION,
    transactions_root: empty,
    results_root: empty,
    state_root: await treeRoot(await Promise.all(firstState(genesis).map(leafOf))),
    history_root: empty,
  });
}

/** K5. */
async function leafOf([key, value]) {
  return [await digest("state-key", key), await digest("state-value", value)];
}

/** The state after block 0, as `[key, value]` each (X1). */
function firstState(genesis) {
  const state = [...resourceEntries(genesis), ...dutyEntries(genesis)];
  for (const { id, keys } of genesis.departments) {
    for (const { public_key: key, role } of keys) {
      state.push([joined([ascii("k"), key]), write("KeyState", { department: id, role })]);
    }
    const admins = keys.filter(({ role }) => role === ADMIN).length;
    state.push([joined([ascii("n"), ascii(id)]), fourBytes(admins)]);
  }
  return state;
}

/** D2. */
function* resourceEntries(genesis) {
  const contained = contents(CATALOGUE_FIELD, genesis.raw);
  for (const { name, department, schema_version: version, fields } of genesis.catalogue.values()) {
    const { page, number } = genesis.slots.get(name);
    const state = {
      department,
      number: PAGE_SLOTS * page + number,
      newest_version: version,
      open_versions: [version],
      highest_field: fields.reduce((highest, field) => Math.max(highest, field.number), 0),
    };
    const key = joined([ascii("c"), ascii(name)]);
    yield [key, write("ResourceState", state)];
    yield [joined([key, Uint8Array.of(0), fourBytes(version)]), contained.next().value];
  }
}

/** D2. */
function* dutyEntries(genesis) {
  const contained = contents(DUTIES_FIELD, genesis.raw);
  for (const { department, code } of genesis.duties) {
    yield [ascii(`u${department}\0${code}`), write("DutyState", { duty: contained.next().value })];
  }
}

function fourBytes(value) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return new Uint8Array(view.buffer);
}

function ascii(text) {
  return new TextEncoder().encode(text);
}
