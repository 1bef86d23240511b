"""Tagged hashes and signatures in every domain, in both suites (docs/protocol.md B3, B4)."""

from __future__ import annotations

from ledger.crypto import ED25519_SHA256, SIMULATION, Domain

SEED = bytes(range(32))
CONTENT = b"content"


def _domains() -> dict[str, object]:
    cases = []
    for suite in (ED25519_SHA256, SIMULATION):
        signer = suite.signer(SEED)
        for domain in Domain:
            case = {"suite": suite.name, "domain": domain.name, "prefix": bytes(domain).hex()}
            if domain.name.startswith("SIGN_"):
                case["public_key"] = signer.public_key.hex()
                case["signature"] = signer.sign(domain, CONTENT).hex()
            else:
                case["digest"] = suite.digest(domain, CONTENT).hex()
            cases.append(case)
    return {
        "about": "D(k), and the hash or the signature of a content in each domain and suite.",
        "rule": "B3, B4",
        "seed": SEED.hex(),
        "content": CONTENT.hex(),
        "cases": cases,
    }


VECTORS = {"domains.json": _domains}
