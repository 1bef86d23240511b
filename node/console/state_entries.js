// What an entry of the state is, by its key (docs/protocol.md X1, G1, G8, E1): for those who are shown entries one by one.

import { VerificationError } from "./errors.js";
import { HASH_BYTES, hex } from "./hashing.js";
import { read } from "./strict.js";

// A byte order mark is text as any other.
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const FORMS = {
  g: { kind: "grant", type: "GrantState", about: (rest) => ({ grant: idOf(rest) }) },
  r: { kind: "read", type: "ReadState", about: (rest) => ({ read: idOf(rest) }) },
  a: { kind: "reads", type: "Reads", about: (rest) => twoParts(rest, "resource", "subject", textOf) },
  x: { kind: "erasure", type: "ErasureState", about: (rest) => twoParts(rest, "department", "record", idOf) },
};
const OTHER = Object.freeze({ kind: "other", about: {}, state: null });

/**
 * Of a key and its value, or null where it has none: its kind, what the key names, and the message that it has. What is of no form here is of the
 * kind "other".
 */
export function readEntry(key, value) {
  const form = FORMS[String.fromCharCode(key[0])];
  if (form === undefined) return OTHER;
  try {
    const about = form.about(key.subarray(1));
    return { kind: form.kind, about, state: value === null ? null : read(form.type, value) };
  } catch (error) {
    if (error instanceof VerificationError || error instanceof TypeError) return OTHER;
    throw error;
  }
}

/** Throws TypeError, as TextDecoder does, if the key is of another form. */
function idOf(bytes) {
  if (bytes.length !== HASH_BYTES) throw new TypeError("an id of another length");
  return hex(bytes);
}

function textOf(bytes) {
  return TEXT.decode(bytes);
}

/** A text, and after a zero byte something else. */
function twoParts(rest, name, other, readOther) {
  const end = rest.indexOf(0);
  if (end < 0) throw new TypeError("a key with one part");
  return { [name]: textOf(rest.subarray(0, end)), [other]: readOther(rest.subarray(end + 1)) };
}
