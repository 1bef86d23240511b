// How verdicts write numbers and times.

const MAX_TIME_MS = 253_402_300_799_999n;

/** A number, or a BigInt where a number would not be exact. No correct chain gets there. */
export function plainNumber(value) {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

/** ISO 8601 in UTC, to the millisecond; null after the year 9999. */
export function isoTime(timeMs) {
  if (timeMs > MAX_TIME_MS) return null;
  return new Date(Number(timeMs)).toISOString().replace("Z", "+00:00");
}
