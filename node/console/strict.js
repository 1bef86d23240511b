// Strict form: the one encoding of a message (docs/protocol.md B2).

import { VerificationError } from "./errors.js";
import { SCHEMA } from "./schema.js";

const VARINT = 0;
const LENGTH = 2;
const MAX_UINT32 = 0xffff_ffff;
const MAX_INT32 = 0x7fff_ffff;
const TWO_TO_64 = 1n << 64n;
const EMPTY = new Uint8Array(0);
// A byte order mark is text as any other.
const TEXT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads bytes that are in strict form. uint64 become BigInt, uint32 and enums numbers, bytes views of `data`; what is unset has its type's
 * default, an unset message null. Memory and time are bounded by a constant times the size of `data`; the caller limits that.
 * Throws NOT_STRICT.
 */
export function read(type, data) {
  if (!(data instanceof Uint8Array)) throw new VerificationError("NOT_STRICT", type);
  try {
    return readMessage(type, { data, at: 0, end: data.length });
  } catch (error) {
    if (error !== NOT_STRICT) throw error;
    throw new VerificationError("NOT_STRICT", type);
  }
}

/** The contents of a repeated field of a message that was read, all of them, one after the other. */
export function* contents(number, data) {
  const reader = { data, at: 0, end: data.length };
  while (reader.at < reader.end) {
    const tag = varint(reader);
    if ((tag & 7) === VARINT) varint(reader);
    else {
      const content = delimited(reader);
      if (tag >>> 3 === number) yield content;
    }
  }
}

/** How many bytes the contents of a repeated field have together. */
export function sizeOf(number, data) {
  let size = 0;
  for (const content of contents(number, data)) size += content.length;
  return size;
}

/** The strict form of a message: its numbers, texts, bytes, lists of numbers, and messages in it that are encoded already. */
export function write(type, values) {
  const parts = [];
  for (const field of SCHEMA.get(type).values()) {
    const value = values[field.name];
    if (value === undefined || BigInt(value.length ?? value) === 0n) continue;
    if (wireOf(field) === LENGTH) {
      const content = encodedContent(field, value);
      parts.push(encodedVarint((field.number << 3) | LENGTH), encodedVarint(content.length), content);
    } else {
      parts.push(encodedVarint(field.number << 3), encodedVarint(value));
    }
  }
  return joined(parts);
}

function encodedContent(field, value) {
  if (isPacked(field)) return joined(value.map(encodedVarint));
  return field.type === "string" ? new TextEncoder().encode(value) : value;
}

/** Bytes, one after the other. */
export function joined(parts) {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function encodedVarint(value) {
  const bytes = [];
  let rest = BigInt(value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

// One object, so that hostile bytes cost no stack traces.
const NOT_STRICT = Object.freeze({});

function readMessage(type, reader) {
  const schema = SCHEMA.get(type);
  const found = {};
  for (const field of schema.values()) found[field.name] = unset(field);
  let last = 0;
  let chosen = null;
  while (reader.at < reader.end) {
    const tag = varint(reader);
    if (tag > MAX_UINT32) throw NOT_STRICT;
    const number = tag >>> 3;
    const field = schema.get(number);
    if (field === undefined || (tag & 7) !== wireOf(field)) throw NOT_STRICT;
    if (number < last || (number === last && !field.isRepeated)) throw NOT_STRICT;
    const before = last;
    last = number;
    if (field.oneof !== null) {
      // No message of the schema has more than one.
      if (chosen !== null) throw NOT_STRICT;
      chosen = field;
    }
    if (isPacked(field)) {
      if (number === before) throw NOT_STRICT;
      found[field.name] = packed(field, delimited(reader));
      continue;
    }
    const value = readValue(field, reader);
    if (!field.isRepeated) found[field.name] = value;
    else if (found[field.name].length < field.kept) found[field.name].push(value);
  }
  return found;
}

function unset(field) {
  if (field.isRepeated) return [];
  if (field.isMessage) return null;
  return { uint64: 0n, uint32: 0, enum: 0, bool: false, string: "", bytes: EMPTY }[field.type];
}

function wireOf(field) {
  return field.isRepeated || field.isMessage || field.type === "bytes" || field.type === "string" ? LENGTH : VARINT;
}

/** Whether a field is a list of numbers, which are one after the other in one content. */
function isPacked(field) {
  return field.isRepeated && !field.isMessage && field.type !== "bytes" && field.type !== "string";
}

function packed(field, content) {
  if (content.length === 0) throw NOT_STRICT;
  const reader = { data: content, at: 0, end: content.length };
  const values = [];
  while (reader.at < reader.end) {
    const value = varint(reader);
    const inRange = ranged(field.type, value);
    if (values.length < field.kept) values.push(inRange);
  }
  return values;
}

function readValue(field, reader) {
  if (wireOf(field) === VARINT) return number(field.type, varint(reader));
  const content = delimited(reader);
  if (field.isMessage) return readMessage(field.type, { data: content, at: 0, end: content.length });
  // Only what may be unset without a trace must not be there with its default.
  if (content.length === 0 && !field.isRepeated) throw NOT_STRICT;
  return field.type === "bytes" ? content : text(content);
}

function number(type, value) {
  if (value === 0) throw NOT_STRICT;
  return ranged(type, value);
}

function ranged(type, value) {
  if (type === "uint64") return BigInt(value);
  if (type === "enum" && value >= TWO_TO_64 - BigInt(MAX_INT32) - 1n) return Number(BigInt(value) - TWO_TO_64);
  if (value > { uint32: MAX_UINT32, enum: MAX_INT32, bool: 1 }[type]) throw NOT_STRICT;
  return type === "bool" ? true : value;
}

function text(content) {
  try {
    return TEXT.decode(content);
  } catch {
    throw NOT_STRICT;
  }
}

function delimited(reader) {
  const length = varint(reader);
  if (length > reader.end - reader.at) throw NOT_STRICT;
  reader.at += length;
  return reader.data.subarray(reader.at - length, reader.at);
}

/** A varint in its shortest form: a number, or a BigInt where it has more than seven bytes. */
function varint(reader) {
  const { data, at, end } = reader;
  let length = 0;
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    if (at + length >= end || length === 10) throw NOT_STRICT;
    const byte = data[at + length];
    length += 1;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  const last = data[at + length - 1];
  if ((last === 0 && length > 1) || (length === 10 && last > 1)) throw NOT_STRICT;
  reader.at = at + length;
  return length <= 7 ? value : exactVarint(data.subarray(at, at + length));
}

function exactVarint(bytes) {
  return bytes.reduceRight((value, byte) => (value << 7n) | BigInt(byte & 0x7f), 0n);
}
