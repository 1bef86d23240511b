// Patterns for texts (docs/protocol.md F5): a small anchored language over ASCII, matched in time proportional to states times length. The
// browser's own regular expressions would read some of them otherwise, and could be made to take for ever.

import { VerificationError } from "./errors.js";

const MAX_CHARACTERS = 1024;
const MAX_STATES = 512;
const MAX_COUNT = 256;
const SPECIAL = new Set("[]{}?*+\\.");
const SPECIAL_IN_CLASS = new Set("[]^-\\");
const COUNTS = new Map([
  ["?", { least: 0, most: 1, isUnbounded: false }],
  ["*", { least: 0, most: 1, isUnbounded: true }],
  ["+", { least: 1, most: 1, isUnbounded: true }],
]);

/** Whether a value fits the pattern, as a function. Throws BAD_PATTERN, with the position (from 1) of what is wrong. */
export function compilePattern(text) {
  const { consuming, optional, looping, states } = automaton(parse(text));
  return (value) => {
    let live = skip(1n, optional);
    for (const character of value) {
      const taken = live & (consuming.get(character) ?? 0n);
      if (taken === 0n) return false;
      live = skip((taken << 1n) | (taken & looping), optional);
    }
    return live >> states !== 0n;
  };
}

// State i: i of the written-out atoms are behind us. `consuming` has, by character, bit i where atom i takes it; `optional` where atom i may be
// skipped, `looping` where it may be taken again.
function automaton(items) {
  const consuming = new Map();
  let [optional, looping, states] = [0n, 0n, 0n];
  for (const { members, least, most, isUnbounded } of items) {
    const atoms = run(most) << states;
    for (const member of members) consuming.set(member, (consuming.get(member) ?? 0n) | atoms);
    optional |= run(most - least) << (states + BigInt(least));
    states += BigInt(most);
    if (isUnbounded) looping |= 1n << (states - 1n);
  }
  return { consuming, optional, looping, states };
}

/** So many bits. */
function run(length) {
  return (1n << BigInt(length)) - 1n;
}

// Adding the live states to a run of optional atoms carries from the lowest live one to the end of the run; the bits that the carry went through
// are the states reached (Navarro & Raffinot, Flexible Pattern Matching, 4.2).
function skip(live, optional) {
  return live | (optional ^ ((live & optional) + optional));
}

// --- reading patterns ---

/** The items, each its members and its count. `least` to `most` of them, or `least` and more. */
function parse(text) {
  const reader = { characters: [...text], at: 0 };
  if (text === "") throw bad(0, "the pattern is empty");
  if (reader.characters.length > MAX_CHARACTERS) {
    throw bad(MAX_CHARACTERS, `a pattern has at most ${MAX_CHARACTERS} characters`);
  }
  const items = [];
  let states = 0;
  while (reader.at < reader.characters.length) {
    const start = reader.at;
    const item = { members: atom(reader), ...count(reader) };
    states += item.most;
    if (states > MAX_STATES) throw bad(start, `written out, a pattern has at most ${MAX_STATES} states`);
    items.push(item);
  }
  return items;
}

function peek({ characters, at }) {
  return characters[at] ?? "";
}

function take(reader, expected) {
  const { characters, at } = reader;
  if (at >= characters.length) throw bad(at, `the pattern ends where ${expected} must follow`);
  if (!isPrintable(characters[at])) throw bad(at, "only printable ASCII characters may stand in a pattern");
  reader.at += 1;
  return characters[at];
}

function isPrintable(character) {
  return character >= " " && character <= "~" && character.length === 1;
}

function atom(reader) {
  const start = reader.at;
  const character = take(reader, "an atom");
  if (character === "\\") return new Set(take(reader, "an escaped character"));
  if (character === "[") return characterClass(reader, start);
  if (SPECIAL.has(character)) throw bad(start, `'${character}' stands for itself only after a backslash`);
  return new Set(character);
}

function characterClass(reader, start) {
  const members = new Set();
  while (peek(reader) !== "]") {
    const at = reader.at;
    const low = classCharacter(reader);
    members.add(low);
    if (peek(reader) !== "-") continue;
    take(reader, "-");
    const high = classCharacter(reader);
    if (low >= high) throw bad(at, "a range runs from a lower to a higher character");
    for (let code = low.charCodeAt(0); code <= high.charCodeAt(0); code += 1) members.add(String.fromCharCode(code));
  }
  take(reader, "]");
  if (members.size === 0) throw bad(start, "a class has at least one character");
  return members;
}

function classCharacter(reader) {
  const at = reader.at;
  const character = take(reader, "a character of a class or ']'");
  if (character === "\\") return take(reader, "an escaped character");
  if (SPECIAL_IN_CLASS.has(character)) {
    throw bad(at, `in a class '${character}' stands for itself only after a backslash`);
  }
  return character;
}

function count(reader) {
  const character = peek(reader);
  if (character === "{") return braces(reader);
  const found = COUNTS.get(character);
  if (found === undefined) return { least: 1, most: 1, isUnbounded: false };
  reader.at += 1;
  return found;
}

function braces(reader) {
  const start = reader.at;
  take(reader, "{");
  const least = number(reader);
  let most = least;
  if (peek(reader) === ",") {
    take(reader, ",");
    most = number(reader);
  }
  if (take(reader, "'}'") !== "}") throw bad(reader.at - 1, "a count is {n} or {n,m}");
  if (!(least <= most && most >= 1 && most <= MAX_COUNT)) {
    throw bad(start, `a count {n,m} has n <= m and 1 <= m <= ${MAX_COUNT}`);
  }
  return { least, most, isUnbounded: false };
}

function number(reader) {
  const start = reader.at;
  while (/^[0-9]$/.test(peek(reader))) reader.at += 1;
  const digits = reader.characters.slice(start, reader.at).join("");
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits)) {
    throw bad(start, "a count has numbers of 1 to 3 digits without leading zeros");
  }
  return Number(digits);
}

function bad(index, reason) {
  return new VerificationError("BAD_PATTERN", `position ${index + 1}: ${reason}`);
}
