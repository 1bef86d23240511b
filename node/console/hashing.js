// SHA-256 and signatures with domain tags (docs/protocol.md B3, B4): the suite ed25519-sha256.

import * as ed25519 from "./ed25519.js";
import { VerificationError } from "./errors.js";
import { joined } from "./strict.js";

export const HASH_BYTES = 32;

/** The browser's own cryptography. Throws NO_WEBCRYPTO. */
export function webCrypto() {
  const subtle = globalThis.crypto?.subtle;
  if (subtle === undefined) throw new VerificationError("NO_WEBCRYPTO");
  return subtle;
}

/** SHA-256 of the parts, one after the other. */
export async function plainHash(...parts) {
  return new Uint8Array(await webCrypto().digest("SHA-256", joined(parts)));
}

/** The hash of a thing of some kind: of `D(kind) ‖ parts`. */
export function digest(kind, ...parts) {
  return plainHash(tag(kind), ...parts);
}

/** Whether a signature over `D(kind) ‖ message` holds; false for keys and signatures of whatever length. */
export function verifies(kind, publicKey, message, signature) {
  return ed25519.verify(webCrypto(), publicKey, joined([tag(kind), message]), signature);
}

function tag(kind) {
  const text = new TextEncoder().encode(`huzheng/v1/${kind}`);
  return joined([Uint8Array.of(text.length), text]);
}

/** Whether two byte strings are the same. Nothing here is secret. */
export function equal(a, b) {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Below, above or 0, in the order of bytes; that of texts by code points is the one of their UTF-8. */
export function compareBytes(a, b) {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index += 1) if (a[index] !== b[index]) return a[index] - b[index];
  return a.length - b.length;
}

/** As `compareBytes`, of texts. JavaScript's own order is that of UTF-16. */
export function compareTexts(a, b) {
  const encoder = new TextEncoder();
  return compareBytes(encoder.encode(a), encoder.encode(b));
}

/** Lower-case hexadecimal. */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
