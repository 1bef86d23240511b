// What makes a resource's definition valid (docs/protocol.md F6): no block publishes another one.

import { VerificationError } from "./errors.js";
import { isPlainText } from "./field_values.js";
import { compareTexts } from "./hashing.js";
import { compilePattern } from "./patterns.js";
import { read } from "./strict.js";

const NAME = /^[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+$/;
const DEPARTMENT = /^[a-z][a-z0-9-]{1,31}$/;
const FIELD_NAME = /^[A-Za-z][A-Za-z0-9_]{0,63}$/;
const DUTY_CODE = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;
const MAX_NAME_BYTES = 64;
const MAX_TITLE_BYTES = 256;
const MAX_CYCLE_DAYS = 3660;
const MAX_FIELDS = 256;
const MAX_CONFIDENTIAL = 64;
const MAX_FIELD_NUMBER = 1023;
const MAX_TEXT_BYTES = 65_536;
const MAX_SUBJECT_BYTES = 256;
const MAX_CODES = 1024;
const MAX_SCALE = 17;
const [TEXT, DECIMAL, CODE, LAST_TYPE] = [1, 3, 5, 8];
const LAST_SHARING_CLASS = 3;

/** Whether a `Resource` is valid. */
export function isResource(resource) {
  return (
    NAME.test(resource.name) &&
    resource.name.length <= MAX_NAME_BYTES &&
    isTitled(resource) &&
    DEPARTMENT.test(resource.department) &&
    isWithin(resource.sharing_class, 1, LAST_SHARING_CLASS) &&
    resource.schema_version >= 1 &&
    (resource.duty === "" || DUTY_CODE.test(resource.duty)) &&
    resource.update_cycle_days <= MAX_CYCLE_DAYS &&
    isSubject(resource.subject ?? read("FieldSpec", new Uint8Array(0))) &&
    areFields(resource.fields)
  );
}

function isSubject(spec) {
  const isBare = spec.number === 0 && spec.name === "" && spec.required && !spec.confidential;
  return isBare && isTitled(spec) && isTyped(spec, MAX_SUBJECT_BYTES);
}

function areFields(fields) {
  return (
    fields.length <= MAX_FIELDS &&
    fields.filter((spec) => spec.confidential).length <= MAX_CONFIDENTIAL &&
    isAscending(fields, (a, b) => a.number - b.number) &&
    new Set(fields.map((spec) => spec.name)).size === fields.length &&
    fields.every(isField)
  );
}

function isField(spec) {
  const isNamed = isWithin(spec.number, 1, MAX_FIELD_NUMBER) && FIELD_NAME.test(spec.name);
  return isNamed && isTitled(spec) && isTyped(spec, MAX_TEXT_BYTES);
}

function isTitled({ title_zh: chinese, title_en: english }) {
  return isText(chinese, MAX_TITLE_BYTES) && isText(english, MAX_TITLE_BYTES);
}

function isTyped(spec, maxBytes) {
  const isOf = (type) => spec.type === type;
  return (
    isWithin(spec.type, TEXT, LAST_TYPE) &&
    (isOf(TEXT) ? isWithin(spec.max_bytes, 1, maxBytes) : spec.max_bytes === 0) &&
    (spec.pattern === "" || (isOf(TEXT) && isPattern(spec.pattern))) &&
    (isOf(CODE) ? areCodes(spec.codes) : spec.codes.length === 0) &&
    (isOf(DECIMAL) ? spec.scale <= MAX_SCALE : spec.scale === 0)
  );
}

function isPattern(text) {
  try {
    compilePattern(text);
    return true;
  } catch (error) {
    if (error instanceof VerificationError) return false;
    throw error;
  }
}

function areCodes(codes) {
  const isEach = codes.every((code) => isText(code, MAX_NAME_BYTES));
  return isWithin(codes.length, 1, MAX_CODES) && isEach && isAscending(codes, compareTexts);
}

/** F1, of 1 to so many bytes. */
function isText(text, maxBytes) {
  return text !== "" && isPlainText(text) && new TextEncoder().encode(text).length <= maxBytes;
}

function isAscending(items, compare) {
  return items.every((item, index) => index === 0 || compare(items[index - 1], item) < 0);
}

function isWithin(number, least, most) {
  return number >= least && number <= most;
}
