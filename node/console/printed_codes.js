// Printed codes: statements as the texts of QR codes (docs/protocol.md Q7).

import { VerificationError } from "./errors.js";
import { joined } from "./strict.js";

const START = "HZ1:";
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
/** What the largest QR code holds, printed as ours are. */
const MAX_CODE_CHARACTERS = 3391;
const FIRST_OF_HEADER = 0x0a;

/**
 * The statement whose codes these texts are, in whatever order they were read, each once. Only how they fit together is looked at. Throws
 * BAD_FILE if one is no code of ours, two hold the same part, or the first part is missing.
 */
export function statementOfCodes(texts) {
  const parts = new Map();
  for (const text of texts) {
    const part = decodeCode(text);
    if (parts.has(part[0])) throw new VerificationError("BAD_FILE", "two codes with the same part");
    parts.set(part[0], part);
  }
  if (!parts.has(FIRST_OF_HEADER)) throw new VerificationError("BAD_FILE", "the code with the first part is missing");
  const ordered = [...parts.keys()].sort((a, b) => a - b);
  return joined(ordered.map((first) => parts.get(first)));
}

/** The bytes of one code. Throws BAD_FILE. */
function decodeCode(text) {
  if (typeof text !== "string" || !text.startsWith(START) || text.length > MAX_CODE_CHARACTERS) throw notOurs();
  const bytes = decodeBase45(text.slice(START.length));
  if (bytes.length === 0) throw notOurs();
  return bytes;
}

/** RFC 9285. Throws BAD_FILE. */
export function decodeBase45(text) {
  const digits = Array.from(text, (character) => ALPHABET.indexOf(character));
  if (digits.includes(-1) || digits.length % 3 === 1) throw notOurs();
  const bytes = [];
  for (let at = 0; at < digits.length; at += 3) {
    const [low, middle, high] = digits.slice(at, at + 3);
    const value = low + 45 * middle + 45 * 45 * (high ?? 0);
    if (value > (high === undefined ? 0xff : 0xffff)) throw notOurs();
    if (high !== undefined) bytes.push(value >> 8);
    bytes.push(value & 0xff);
  }
  return Uint8Array.from(bytes);
}

function notOurs() {
  return new VerificationError("BAD_FILE", "a text that is no printed code");
}
