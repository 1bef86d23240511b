// Checks receipts, disclosures, statements and proofs of history in the reader's own browser: no server is believed, nothing leaves the page.
//
//   import { describe, readGenesis, verifyProof } from "./verify.js";
//   const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
//   const genesis = await readGenesis(await bytes("genesis.bin"), { chainId: "dbca61a4…" });
//   const verdict = await verifyProof(await bytes("statement.bin"), genesis, { maxAgeMs: 3_600_000 });
//   document.body.innerText = describe(verdict, genesis, "zh");
//
// What all trust stands on is the genesis file, and that by its chain id: publish this id by another way than the file and this program, and
// give it to `readGenesis`. The rules are those of docs/protocol.md, as the Python in ledger/ has them. Every failure is a VerificationError
// with a code of docs/errors.md; `error.text("zh")` says it to people. No dependencies, no build step; needs WebCrypto, which browsers give only
// to pages from https:// and localhost, or Node.js 20.

import { isDisclosure, maxDisclosureBytes, verifyDisclosure } from "./disclosure.js";
import { VerificationError, guarded } from "./errors.js";
import { verifyFork, verifyHistory } from "./history.js";
import { verifyReceipt } from "./receipt.js";
import { verifyStatement } from "./statement.js";
import { read } from "./strict.js";

export { verifyDisclosure } from "./disclosure.js";
export { verifyBundle } from "./epoch_proofs.js";
export { VerificationError } from "./errors.js";
export { readGenesis } from "./genesis.js";
export { readAnchor, verifyFork, verifyHistory } from "./history.js";
export { statementOfCodes } from "./printed_codes.js";
export { verifyReceipt } from "./receipt.js";
export { verifyStatement } from "./statement.js";
export { describe } from "./verdict_texts.js";

// With fields of which a proof of the kind always has one.
const KINDS = [
  ["Statement", ["leaves", "entries"], verifyStatement],
  ["Receipt", ["result"], verifyReceipt],
  ["Fork", ["other_certificate"], verifyFork],
  ["HistoryProof", ["old_header"], verifyHistory],
];

/**
 * What a proof of any kind proves; `kind` in the verdict says which it is. Options and errors are those of `verifyStatement`, `verifyReceipt`,
 * `verifyDisclosure`, `verifyFork` and `verifyHistory`; NOT_STRICT if it is none of these. A fork is a proof too: that the network was broken.
 */
export function verifyProof(bytes, genesis, options = {}) {
  return guarded(async () => {
    if (bytes?.length > maxDisclosureBytes(genesis)) throw new VerificationError("TOO_LARGE", "proof");
    if (isDisclosure(bytes)) return verifyDisclosure(bytes, genesis, options);
    const found = KINDS.find(([type, telling]) => isOfKind(bytes, type, telling));
    if (found === undefined) throw new VerificationError("NOT_STRICT", "neither receipt, disclosure, statement nor proof of history");
    return found[2](bytes, genesis, options);
  });
}

function isOfKind(bytes, type, telling) {
  try {
    const message = read(type, bytes);
    return telling.some((name) => message[name].length > 0);
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}
