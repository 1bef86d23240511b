// Ed25519 with libsodium's verdicts (docs/protocol.md B4): RFC 8032 without cofactor, S, A and R canonical, small-order A and R refused.
//
// Engines differ in the edge cases. What encodings show is checked here, whatever the engine says; its word for the equation is taken only
// where signatures on which engines differ show that it uses the one without cofactor, and only if it says yes. All else is computed here,
// with BigInt: slower (some milliseconds), and nothing here is secret.

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const SQRT_OF_MINUS_1 = 19681161376707505956807079304988542015446066515923890162744021073123829784752n;
const Y_OF_ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;
/** The y of all points whose order divides 8. */
const SMALL_ORDER = new Set([0n, 1n, P - 1n, Y_OF_ORDER_8, P - Y_OF_ORDER_8]);

const NEUTRAL = { x: 0n, y: 1n, z: 1n, t: 0n };
const BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n;
const BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960n;
const BASE = { x: BASE_X, y: BASE_Y, z: 1n, t: (BASE_X * BASE_Y) % P };

/** Whether the signature over the message holds. `subtle`: the engine's WebCrypto. */
export async function verify(subtle, publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  const r = signature.subarray(0, 32);
  if (littleEndian(signature.subarray(32)) >= L) return false;
  if (!isCanonicalOfLargeOrder(publicKey) || !isCanonicalOfLargeOrder(r)) return false;
  if ((await judgesAsWe(subtle)) && (await engineAccepts(subtle, publicKey, message, signature))) return true;
  return computed(subtle, publicKey, message, signature);
}

/** Whether a key may be registered: canonical and of prime order. */
export function isAdmissibleKey(publicKey) {
  if (publicKey.length !== 32 || !isCanonicalOfLargeOrder(publicKey)) return false;
  const point = decode(publicKey);
  return point !== null && isNeutral(multiply(L, point));
}

// --- the engine's ---

// Signatures with points of mixed order (github.com/novifinancial/ed25519-speccheck, 3 to 5): key, message, signature, verdict.
const TELLING = [
  [
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    true,
  ],
  [
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    false,
  ],
  [
    "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    false,
  ],
];

const judgements = new WeakMap();

/** Whether the engine has Ed25519 and uses the equation without cofactor. Asked once. */
function judgesAsWe(subtle) {
  if (!judgements.has(subtle)) judgements.set(subtle, judge(subtle));
  return judgements.get(subtle);
}

async function judge(subtle) {
  for (const [key, message, signature, verdict] of TELLING) {
    if ((await engineAccepts(subtle, fromHex(key), fromHex(message), fromHex(signature))) !== verdict) return false;
  }
  return true;
}

async function engineAccepts(subtle, publicKey, message, signature) {
  try {
    const key = await subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
    return await subtle.verify({ name: "Ed25519" }, key, signature, message);
  } catch {
    return false;
  }
}

function fromHex(text) {
  return Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));
}

// --- our own ---

/** Whether R is the encoding of [S]B − [k]A. */
async function computed(subtle, publicKey, message, signature) {
  const a = decode(publicKey);
  if (a === null) return false;
  const hashed = new Uint8Array(64 + message.length);
  hashed.set(signature.subarray(0, 32));
  hashed.set(publicKey, 32);
  hashed.set(message, 64);
  const k = littleEndian(new Uint8Array(await subtle.digest("SHA-512", hashed))) % L;
  const s = littleEndian(signature.subarray(32));
  const r = add(multiply(s, BASE), multiply(k, negated(a)));
  return encode(r) === littleEndian(signature.subarray(0, 32));
}

function littleEndian(bytes) {
  let digits = "";
  for (const byte of bytes) digits = byte.toString(16).padStart(2, "0") + digits;
  return BigInt(`0x${digits}`);
}

const Y_MASK = 2n ** 255n - 1n;

/** By its y alone: a canonical y that belongs to no point of small order. Whether there is a point is not looked at. */
function isCanonicalOfLargeOrder(bytes) {
  const y = littleEndian(bytes) & Y_MASK;
  return y < P && !SMALL_ORDER.has(y);
}

/** The point, or null if there is none on the curve. The y is canonical. */
function decode(bytes) {
  const number = littleEndian(bytes);
  const y = number & Y_MASK;
  const sign = number >> 255n;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  // RFC 8032, 5.1.3: a square root of u / v.
  const v3 = mod(v * v * v);
  let x = mod(u * v3 * power(mod(u * v3 * v3 * v), (P - 5n) / 8n));
  if (mod(v * x * x) !== u) x = mod(x * SQRT_OF_MINUS_1);
  if (mod(v * x * x) !== u) return null;
  if ((x & 1n) !== sign) x = mod(-x);
  return { x, y, z: 1n, t: mod(x * y) };
}

function encode(point) {
  const inverse = power(point.z, P - 2n);
  const x = mod(point.x * inverse);
  return mod(point.y * inverse) | ((x & 1n) << 255n);
}

function isNeutral(point) {
  return point.x === 0n && point.y === point.z;
}

function negated(point) {
  return { x: mod(-point.x), y: point.y, z: point.z, t: mod(-point.t) };
}

/** RFC 8032, 5.1.4. */
function add(p, q) {
  const a = mod((p.y - p.x) * (q.y - q.x));
  const b = mod((p.y + p.x) * (q.y + q.x));
  const c = mod(2n * D * p.t * q.t);
  const d = mod(2n * p.z * q.z);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return { x: mod(e * f), y: mod(g * h), z: mod(f * g), t: mod(e * h) };
}

function multiply(scalar, point) {
  let result = NEUTRAL;
  for (const bit of scalar.toString(2)) {
    result = add(result, result);
    if (bit === "1") result = add(result, point);
  }
  return result;
}

function power(base, exponent) {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = mod(result * result);
    if (bit === "1") result = mod(result * base);
  }
  return result;
}

function mod(number) {
  const rest = number % P;
  return rest < 0n ? rest + P : rest;
}
