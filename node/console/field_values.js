// Which text is a value of a type (docs/protocol.md F1 to F4, and F6 of what a type needs).
//
// The regular expressions are anchored, name each character that they take and have nothing to try twice: every browser decides alike, and soon.

import { VerificationError } from "./errors.js";
import { compilePattern } from "./patterns.js";

const MAX_DECIMAL_DIGITS = 18;
const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;
const INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const DECIMAL = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?$/;
const DATE = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/;
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const PROPERTY_UNIT_CODE = /^[0-9]{12}[GJZ][ABSXCDEFHGWY](?!00000)[0-9]{5}(?:[FLQ][0-9]{8}|W0{8})$/;
const CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY";
const SOCIAL_CREDIT_CODE = new RegExp(`^[${CREDIT_ALPHABET}]{2}[0-9]{6}[${CREDIT_ALPHABET}]{10}$`);
const AREAS = "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新蜀黔滇秦陇兵国";
const CERTIFICATE_NUMBER = new RegExp(
  `^[${AREAS}]\\([0-9]{4}\\)[\\u4e00-\\u9fff]{1,8}(?:不动产权|不动产证明)第[0-9]{6,8}号$`,
);
const FORBIDDEN_IN_TEXT = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
];

// By number of FieldType: given a specification, whether a value fits.
const TYPES = new Map([
  [1, textOf],
  [2, () => isInteger],
  [3, ({ scale }) => (value) => isDecimal(value, scale)],
  [4, () => isDate],
  [5, codeOf],
  [6, () => (value) => PROPERTY_UNIT_CODE.test(value)],
  [7, () => isSocialCreditCode],
  [8, () => (value) => CERTIFICATE_NUMBER.test(value)],
]);

/** Whether a value fits a `FieldSpec`, as a function. Throws BAD_PATTERN, and BAD_CATALOGUE of a type that this version does not know. */
export function compileSpec(spec) {
  const compile = TYPES.get(spec.type);
  if (compile === undefined) throw new VerificationError("BAD_CATALOGUE", "type must be one that this version knows");
  return compile(spec);
}

function textOf({ pattern, max_bytes: limit }) {
  // What fits a pattern is ASCII: it has as many bytes as characters.
  const isOf = pattern === "" ? isPlainText : compilePattern(pattern);
  const size = pattern === "" ? (value) => new TextEncoder().encode(value).length : (value) => value.length;
  return (value) => value !== "" && size(value) <= limit && isOf(value);
}

/** Whether a text has none of the characters that could make it read otherwise than it is (F1). */
export function isPlainText(value) {
  for (const character of value) {
    const code = character.codePointAt(0);
    if (FORBIDDEN_IN_TEXT.some(([first, last]) => code >= first && code <= last)) return false;
  }
  return true;
}

function codeOf({ codes }) {
  const known = new Set(codes);
  return (value) => known.has(value);
}

function isInteger(value) {
  if (!INTEGER.test(value)) return false;
  const number = BigInt(value);
  return number >= MIN_INTEGER && number <= MAX_INTEGER;
}

function isDecimal(value, scale) {
  const found = DECIMAL.exec(value);
  if (found === null) return false;
  const [, sign, whole, fraction = ""] = found;
  if (fraction.length > scale || whole.length + fraction.length > MAX_DECIMAL_DIGITS) return false;
  return sign === "" || /[1-9]/.test(whole + fraction);
}

function isDate(value) {
  const found = DATE.exec(value);
  if (found === null) return false;
  const [year, month, day] = found.slice(1).map(Number);
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = month === 2 && isLeap ? 29 : DAYS[month - 1];
  return year >= 1 && day >= 1 && day <= last;
}

function isSocialCreditCode(value) {
  if (!SOCIAL_CREDIT_CODE.test(value)) return false;
  const values = [...value].map((character) => CREDIT_ALPHABET.indexOf(character));
  let [sum, weight] = [0, 1];
  for (const each of values.slice(0, 17)) {
    sum += each * weight;
    weight = (weight * 3) % 31;
  }
  return values[17] === (31 - (sum % 31)) % 31;
}
