// The one error of the verifier: a stable code, texts for people in English and Chinese, and in English what exactly.

import { TEXTS } from "./texts.js";

/** Why bytes prove nothing. `code` is as in docs/errors.md; `detail` never repeats a value that was submitted. */
export class VerificationError extends Error {
  constructor(code, detail = "") {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "VerificationError";
    this.code = code;
    this.detail = detail;
  }

  /** What went wrong, for people; `language` is "en" or "zh". */
  text(language = "en") {
    return TEXTS[this.code][language];
  }

  /** What to do next, for people. */
  hint(language = "en") {
    return TEXTS[this.code][`hint_${language}`];
  }
}

/** Runs a verification; whatever else than a VerificationError goes wrong in it becomes one, INTERNAL. */
export async function guarded(verification) {
  try {
    return await verification();
  } catch (error) {
    if (error instanceof VerificationError) throw error;
    throw new VerificationError("INTERNAL", error instanceof Error ? error.name : "");
  }
}

export function badProof(detail) {
  return new VerificationError("BAD_PROOF", detail);
}
