"""Why a node can't be reached. gRPC says "unavailable" to everything; this looks step by step: name, port, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from ledger.errors import Code, HuzhengError
from node.client import LedgerClient
from node.config import TlsSection
from node.connections import Endpoint
from node.pki import server_name
from node.toml_file import Address

_STEP_TIMEOUT_S = 5.0
# Long enough for a node on the same continent to say that it does not accept a certificate.
_ALERT_WAIT_S = 1.0
_CERTIFICATE_EXPIRED, _NOT_YET_VALID = 10, 9
_UNKNOWN_ISSUER = (18, 19, 20, 21)


async def diagnose(client: LedgerClient, tls: TlsSection, found: HuzhengError) -> HuzhengError:
    """A better error than `found`, with one line for each of the client's nodes; `found` itself if all looks well now."""
    causes = [(node, await find_cause(node, tls, client.authority_of(node))) for node in client.nodes]
    problems = [(node, cause) for node, cause in causes if cause is not None]
    if not problems:
        return found
    refused = any(code is Code.TLS_REFUSED for _, (code, _) in problems)
    lines = [f"{node.address}, replica {node.replica} of {node.department}: {text}" for node, (_, text) in problems]
    code = Code.TLS_REFUSED if refused else Code.NODE_UNREACHABLE
    return HuzhengError(code, "\n".join(lines) if len(lines) == 1 else "\n".join(["", *lines]))


async def find_cause(node: Endpoint, tls: TlsSection, authority: bytes) -> tuple[Code, str] | None:
    """Why this one node can't be reached; None if it looks well. `authority`: its department's CA (DER)."""
    address = Address.parse(node.address)
    context = _context(tls, authority)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_STEP_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=context, server_hostname=server_name(node.department, node.replica)
            )
        # With TLS 1.3 a server refuses a client's certificate only after the client's side of the handshake is done.
        async with asyncio.timeout(_ALERT_WAIT_S):
            if not await reader.read(1):
                return Code.TLS_REFUSED, "the node closes the connection: it does not accept this certificate"
    except TimeoutError:
        return None if writer else (Code.NODE_UNREACHABLE, f"no answer within {_STEP_TIMEOUT_S:.0f} s")
    except ssl.SSLError as error:
        return Code.TLS_REFUSED, _tls_reason(error, node)
    except socket.gaierror:
        return Code.NODE_UNREACHABLE, "the host name is not known"
    except ConnectionRefusedError:
        return Code.NODE_UNREACHABLE, "nothing listens there"
    except OSError as error:
        return Code.NODE_UNREACHABLE, error.strerror or "the connection broke"
    finally:
        if writer is not None:
            writer.close()
    return None


def _context(tls: TlsSection, authority: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=load_der_x509_certificate(authority).public_bytes(Encoding.PEM).decode())
    context.load_cert_chain(tls.certificate, tls.key)
    context.set_alpn_protocols(["h2"])
    return context


def _tls_reason(error: ssl.SSLError, node: Endpoint) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _CERTIFICATE_EXPIRED:
            return "the node's certificate has expired, or this machine's clock is wrong"
        if error.verify_code == _NOT_YET_VALID:
            return "the node's certificate is not valid yet, or this machine's clock is wrong"
        if error.verify_code in _UNKNOWN_ISSUER:
            return f"the node's certificate is not of {node.department}'s CA: another node or network?"
        return f"the node's certificate does not name replica {node.replica} of {node.department}"
    reason = (error.reason or "").lower().replace("_", " ")
    if "alert" in reason:
        return f"the node does not accept this certificate ({reason.split('alert', 1)[1].strip()})"
    return f"the node does not speak TLS as expected ({reason or 'unknown reason'})"
