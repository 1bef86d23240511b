// Blocks that a quorum sealed (docs/protocol.md I4, R2, R3), and the genesis block, which needs no seals.

import { firstEpoch, quorum } from "./epochs.js";
import { VerificationError, badProof } from "./errors.js";
import { genesisHeader } from "./genesis.js";
import { digest, equal, hex, verifies } from "./hashing.js";
import { joined, read, write } from "./strict.js";
import { isoTime, plainNumber } from "./verdict_values.js";

/**
 * A header that a quorum of an epoch's members sealed (R2, R3): `{raw, header, hash, terms, sealedBy}`. Throws NOT_STRICT, WRONG_CHAIN,
 * PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_PROOF, BAD_CERTIFICATE.
 */
export async function verifySealed(genesis, terms, raw, certificate) {
  const header = read("BlockHeader", raw);
  if (!equal(header.chain_id, genesis.chainId)) throw new VerificationError("WRONG_CHAIN", "header");
  if (!genesis.knownVersions.has(header.protocol_version)) {
    throw new VerificationError("PROTOCOL_UNKNOWN", `protocol version ${header.protocol_version}`);
  }
  if (header.epoch !== terms.epoch) throw new VerificationError("EPOCH_UNKNOWN", `epoch ${header.epoch}`);
  if (header.height < terms.firstHeight || header.protocol_version !== terms.protocolVersion) {
    throw badProof(`a block that epoch ${terms.epoch} does not have`);
  }
  const hash = await digest("block", raw);
  const place = { chainId: genesis.chainId, epoch: terms.epoch, height: header.height, hash };
  return { raw, header, hash, terms, sealedBy: await verifyCertificate(terms.members, certificate, place) };
}

/** The genesis block, which follows from the genesis and has no certificate. */
export async function genesisBlock(genesis) {
  const raw = await genesisHeader(genesis);
  const [header, hash] = [read("BlockHeader", raw), await digest("block", raw)];
  return { raw, header, hash, terms: firstEpoch(genesis), sealedBy: [] };
}

/** What all verdicts say: as of which block something was proved, and what was trusted. `anchor`: null if the genesis alone. */
export function describeBlock(genesis, block, anchor) {
  return {
    chain_id: hex(genesis.chainId),
    anchor: anchor === null ? null : { height: plainNumber(anchor.header.height), block_hash: hex(anchor.hash) },
    ...placeOf(block),
  };
}

/** A block, as verdicts show it. */
export function placeOf({ header, hash, sealedBy }) {
  return {
    height: plainNumber(header.height),
    block_hash: hex(hash),
    time: isoTime(header.time_ms),
    time_ms: plainNumber(header.time_ms),
    epoch: plainNumber(header.epoch),
    sealed_by: sealedBy,
  };
}

/**
 * Accepts a certificate of the block at a place, `{chainId, epoch, height, hash}` (I4); gives the ids of the replicas whose seals it holds.
 * Throws BAD_CERTIFICATE.
 */
export async function verifyCertificate(members, certificate, { chainId, epoch, height, hash }) {
  const seals = sealsOf(certificate);
  const needed = quorum(members.length);
  if (seals.length !== needed) throw badCertificate(`${seals.length} seals, the quorum is ${needed}`);
  if (seals.some(({ replica }, index) => index > 0 && seals[index - 1].replica >= replica)) {
    throw badCertificate("the seals are not in strictly ascending order of replicas");
  }
  const message = joined([chainId, write("Seal", { epoch, height, block_hash: hash })]);
  const keys = new Map(members.map(({ replica, publicKey }) => [replica, publicKey]));
  for (const { replica, signature } of seals) {
    const key = keys.get(replica);
    if (key === undefined) throw badCertificate("a seal is by a replica that is no member");
    if (!(await verifies("sign-seal", key, message, signature))) {
      throw badCertificate(`the seal of replica ${replica} does not verify`);
    }
  }
  return seals.map(({ replica }) => replica);
}

function sealsOf(certificate) {
  try {
    return read("Certificate", certificate).seals;
  } catch {
    throw badCertificate("not in strict form");
  }
}

function badCertificate(detail) {
  return new VerificationError("BAD_CERTIFICATE", detail);
}
