// Answers what tests ask of the verifier: a question as JSON on each line of stdin, an answer on each line of stdout.
// Bytes are in hexadecimal; integers above 2^53 go out as texts.

import { createInterface } from "node:readline";

import * as ed25519 from "../../node/console/ed25519.js";
import { compileSpec } from "../../node/console/field_values.js";
import { genesisHeader } from "../../node/console/genesis.js";
import { compareTexts, hex } from "../../node/console/hashing.js";
import * as merkle from "../../node/console/merkle.js";
import { compilePattern } from "../../node/console/patterns.js";
import { decodeBase45 } from "../../node/console/printed_codes.js";
import { assignSlots } from "../../node/console/registers.js";
import { isResource } from "../../node/console/resource_rules.js";
import { RESULTS } from "../../node/console/results.js";
import { SCHEMA } from "../../node/console/schema.js";
import { verifyCertificate } from "../../node/console/sealed_blocks.js";
import { readEntry } from "../../node/console/state_entries.js";
import * as stateTree from "../../node/console/state_tree.js";
import { read } from "../../node/console/strict.js";
import { TEXTS } from "../../node/console/texts.js";
import * as verifier from "../../node/console/verify.js";

const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const all = (texts) => texts.map(bytes);

const ENGINES = {
  own: globalThis.crypto.subtle,
  // As in a browser that has no Ed25519.
  none: {
    digest: (...given) => globalThis.crypto.subtle.digest(...given),
    importKey: () => Promise.reject(new Error("NotSupportedError")),
  },
  // One that agrees to everything.
  credulous: {
    digest: (...given) => globalThis.crypto.subtle.digest(...given),
    importKey: () => Promise.resolve(null),
    verify: () => Promise.resolve(true),
  },
};

const genesisFiles = new Map();

function genesisOf(text) {
  if (!genesisFiles.has(text)) genesisFiles.set(text, verifier.readGenesis(bytes(text)));
  return genesisFiles.get(text);
}

/** Anchors, histories and bundles that a question brings along. */
async function optionsOf(question, genesis) {
  const { anchor, history, catalogueHistory, bundle, genesis_bundle: fromGenesis, ...options } = question.options ?? {};
  if (anchor) options.anchor = await verifier.readAnchor(bytes(anchor), genesis);
  if (history) options.history = bytes(history);
  if (catalogueHistory) options.catalogueHistory = bytes(catalogueHistory);
  if (fromGenesis) options.epochs = await verifier.verifyBundle(bytes(fromGenesis), genesis);
  if (bundle) options.epochs = await verifier.verifyBundle(bytes(bundle), genesis, options);
  return options;
}

async function proved(verify, question) {
  const genesis = await genesisOf(question.genesis);
  return verify(bytes(question.bytes), genesis, await optionsOf(question, genesis));
}

const ANSWERS = {
  receipt: (question) => proved(verifier.verifyReceipt, question),
  disclosure: (question) => proved(verifier.verifyDisclosure, question),
  statement: (question) => proved(verifier.verifyStatement, question),
  history: (question) => proved(verifier.verifyHistory, question),
  fork: (question) => proved(verifier.verifyFork, question),
  proof: (question) => proved(verifier.verifyProof, question),
  async anchor(question) {
    const { hash, terms } = await proved(verifier.readAnchor, question);
    return { block_hash: hex(hash), epoch: terms.epoch };
  },
  async bundle({ genesis, bytes: text }) {
    const epochs = await verifier.verifyBundle(bytes(text), await genesisOf(genesis));
    return epochs.map(({ members, ...terms }) => ({
      ...terms,
      members: members.map(({ replica, department, publicKey: key }) => [replica, department, hex(key)]),
    }));
  },
  async described(question) {
    const verdict = await proved(verifier.verifyProof, question);
    const genesis = await genesisOf(question.genesis);
    return [verifier.describe(verdict, genesis, "en"), verifier.describe(verdict, genesis, "zh")];
  },
  entry({ key, value }) {
    const { kind, about, state } = readEntry(bytes(key), value === null ? null : bytes(value));
    return { kind, about, isThere: state !== null };
  },
  async genesis({ bytes: text, chain_id: chainId }) {
    const genesis = await verifier.readGenesis(bytes(text), { chainId: chainId ?? null });
    return { chain_id: hex(genesis.chainId), header: hex(await genesisHeader(genesis)) };
  },
  assigned: ({ names }) =>
    Object.fromEntries([...assignSlots(names)].map(([name, slot]) => [name, Object.values(slot)])),
  codes: ({ texts }) => hex(verifier.statementOfCodes(texts)),
  base45: ({ text }) => hex(decodeBase45(text)),
  /** Whether each of some values fits a specification, which is a `FieldSpec` in strict form; texts are in UTF-8. */
  fits({ spec, values }) {
    const fits = compileSpec(read("FieldSpec", bytes(spec)));
    return values.map((value) => fits(Buffer.from(value, "hex").toString()));
  },
  is_resource: ({ bytes: text }) => isResource(read("Resource", bytes(text))),
  matches({ pattern, values }) {
    const matches = compilePattern(pattern);
    return values.map(matches);
  },
  /** Why a pattern is refused. */
  bad_pattern({ pattern }) {
    try {
      compilePattern(pattern);
      return null;
    } catch (error) {
      return [error.code, error.detail];
    }
  },
  ed25519: ({ public_key: key, message, signature, engine }) =>
    ed25519.verify(ENGINES[engine], bytes(key), bytes(message), bytes(signature)),
  admissible: ({ key }) => ed25519.isAdmissibleKey(bytes(key)),
  strict({ message, bytes: text }) {
    read(message, bytes(text));
    return true;
  },
  async inclusion({ leaf, index, size, path }) {
    return hex(await merkle.rootFromPath(bytes(leaf), BigInt(index), BigInt(size), all(path)));
  },
  async consistency({ old_size: oldSize, size, old_root: oldRoot, new_root: newRoot, path }) {
    await merkle.verifyConsistency(BigInt(oldSize), BigInt(size), bytes(oldRoot), bytes(newRoot), all(path));
    return true;
  },
  async state_tree({ keys }) {
    return hex(await stateTree.treeRoot(Object.entries(keys).map(all)));
  },
  async state_proof({ path, digest, proof }) {
    const { depth, ...rest } = proof;
    const fields = Object.fromEntries(Object.entries(rest).map(([name, text]) => [name, bytes(text)]));
    return hex(await stateTree.rootFromProof(bytes(path), digest === null ? null : bytes(digest), { depth, ...fields }));
  },
  certificate({ members, certificate, chain_id: chainId, epoch, height, block_hash: hash }) {
    const voting = members.map(({ replica, public_key: key }) => ({ replica, publicKey: bytes(key) }));
    const place = { chainId: bytes(chainId), epoch: BigInt(epoch), height: BigInt(height), hash: bytes(hash) };
    return verifyCertificate(voting, bytes(certificate), place);
  },
  order: ({ texts }) => [...texts].sort(compareTexts),
  schema: () => Object.fromEntries([...SCHEMA].map(([name, fields]) => [name, [...fields.values()]])),
  texts: () => TEXTS,
  results: () => Object.fromEntries(RESULTS),
  /** Bytes that nobody would put on a line: `unit`, so many times. */
  filled({ of, genesis, unit, count }) {
    return ANSWERS[of]({ genesis, bytes: unit.repeat(count) });
  },
  subject: ({ bytes: text }) => read("Record", bytes(text)).subject,
  /** As in a page that came by http:// from another computer. */
  async insecure({ bytes: text }) {
    const { crypto } = globalThis;
    Object.defineProperty(globalThis, "crypto", { value: {}, configurable: true });
    try {
      return await verifier.readGenesis(bytes(text));
    } finally {
      Object.defineProperty(globalThis, "crypto", { value: crypto });
    }
  },
  /** Given what is no bytes at all. */
  async misused({ of, value, genesis }) {
    return verifier[of](value, await genesisOf(genesis));
  },
};

async function answer(question) {
  try {
    return { said: await ANSWERS[question.ask](question) };
  } catch (error) {
    if (!(error instanceof verifier.VerificationError)) throw error;
    // Each must have its texts.
    return { code: error.code, detail: error.detail, texts: [error.text("en"), error.text("zh"), error.hint("zh")] };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(JSON.parse(line));
  console.log(JSON.stringify(said, (_, value) => (typeof value === "bigint" ? value.toString() : value)));
}
