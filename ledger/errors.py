"""Every error that Huzheng shows: a stable code, a text in English and Chinese, and a hint of what to do next.

No text ever repeats a submitted value: values may be personal data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from huzheng.v1 import transaction_pb2 as pb

Language = Literal["en", "zh"]


class Code(StrEnum):
    """Stable error codes. A code is never renamed and never given another meaning."""

    # Bytes and proofs
    NOT_STRICT = "NOT_STRICT"
    TOO_LARGE = "TOO_LARGE"
    BAD_PROOF = "BAD_PROOF"
    BAD_CERTIFICATE = "BAD_CERTIFICATE"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    SUITE_UNKNOWN = "SUITE_UNKNOWN"
    SUITE_REFUSED = "SUITE_REFUSED"
    CRYPTO_SELF_TEST = "CRYPTO_SELF_TEST"
    VOTE_LOG_CORRUPT = "VOTE_LOG_CORRUPT"
    # Genesis and catalogue
    BAD_GENESIS = "BAD_GENESIS"
    BAD_CATALOGUE = "BAD_CATALOGUE"
    BAD_PATTERN = "BAD_PATTERN"
    # Transactions that are not well formed (docs/protocol.md T3 to T5)
    MALFORMED_TRANSACTION = "MALFORMED_TRANSACTION"
    WRONG_CHAIN = "WRONG_CHAIN"
    BAD_BATCH = "BAD_BATCH"
    # Refusals on chain (docs/protocol.md X3)
    UNKNOWN_KEY = "UNKNOWN_KEY"
    REVOKED_KEY = "REVOKED_KEY"
    KEY_NOT_ALLOWED = "KEY_NOT_ALLOWED"
    EXPIRED = "EXPIRED"
    LIFETIME_TOO_LONG = "LIFETIME_TOO_LONG"
    REPEATED = "REPEATED"
    UNKNOWN_RESOURCE = "UNKNOWN_RESOURCE"
    NOT_OWNER = "NOT_OWNER"
    BAD_SUBJECT = "BAD_SUBJECT"
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    BAD_PAYLOAD = "BAD_PAYLOAD"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    MISSING_FIELD = "MISSING_FIELD"
    BAD_FIELD = "BAD_FIELD"
    VERSION_CONFLICT = "VERSION_CONFLICT"
    NOTHING_TO_REVOKE = "NOTHING_TO_REVOKE"
    KEY_EXISTS = "KEY_EXISTS"
    BAD_KEY = "BAD_KEY"
    LAST_ADMIN_KEY = "LAST_ADMIN_KEY"


@dataclass(frozen=True, slots=True)
class Text:
    """What a code says to people."""

    en: str
    zh: str
    hint_en: str
    hint_zh: str


TEXTS: dict[Code, Text] = {
    Code.NOT_STRICT: Text(
        "The bytes are not a message in strict form.",
        "数据不是严格编码形式的消息。",
        "Use the file or message exactly as it was issued; ask its issuer for a fresh copy.",
        "请使用签发时的原始文件或消息；必要时请签发方重新提供。",
    ),
    Code.TOO_LARGE: Text(
        "The message is larger than the network allows.",
        "消息超过网络允许的大小。",
        "Send fewer records in a transaction, or shorter fields.",
        "请减少一笔交易中的记录数，或缩短字段。",
    ),
    Code.BAD_PROOF: Text(
        "A Merkle proof does not lead to the root it should.",
        "默克尔证明与根哈希不符。",
        "The proof was altered or is for something else; fetch it again from a node.",
        "证明被改动或不属于该对象；请向节点重新获取。",
    ),
    Code.BAD_CERTIFICATE: Text(
        "The block's certificate does not hold a quorum of valid seals.",
        "区块证书没有达到法定数量的有效签章。",
        "Do not rely on this block; fetch it from another node.",
        "请勿采信该区块；请从其他节点重新获取。",
    ),
    Code.BAD_SIGNATURE: Text(
        "A signature does not verify.",
        "签名验证失败。",
        "Sign the exact bytes with the department's own key and send them unaltered.",
        "请用本部门密钥对原始数据签名，并原样发送。",
    ),
    Code.SUITE_UNKNOWN: Text(
        "The genesis names a crypto suite that this version does not know.",
        "创世文件指定的密码套件不受此版本支持。",
        "Use a software version that supports the suite.",
        "请使用支持该密码套件的软件版本。",
    ),
    Code.SUITE_REFUSED: Text(
        "The simulation suite proves nothing and is refused in production.",
        "模拟密码套件不具备证明力，生产环境拒绝使用。",
        "Make the network with the suite ed25519-sha256.",
        "请使用 ed25519-sha256 套件建立网络。",
    ),
    Code.CRYPTO_SELF_TEST: Text(
        "The crypto library fails its self-test.",
        "密码库自检未通过。",
        "Do not run this node; reinstall the pinned versions of PyNaCl and protobuf.",
        "请勿运行该节点；请重新安装锁定版本的 PyNaCl 与 protobuf。",
    ),
    Code.VOTE_LOG_CORRUPT: Text(
        "The vote log is damaged: this replica no longer knows what it has signed.",
        "投票日志已损坏：本节点无法确认曾签署的内容。",
        "Do not vote with this key again; keep the database for inspection and replace the replica's key.",
        "请勿再用该密钥投票；保留数据库备查，并更换节点密钥。",
    ),
    Code.BAD_GENESIS: Text(
        "The genesis file is not valid.",
        "创世文件无效。",
        "Get the genesis file again from the consortium and compare its chain id.",
        "请向联盟重新获取创世文件并核对链标识。",
    ),
    Code.BAD_CATALOGUE: Text(
        "A resource in the catalogue is not valid.",
        "目录中的某个资源定义无效。",
        "Correct the resource's definition as the detail says.",
        "请按提示修改资源定义。",
    ),
    Code.BAD_PATTERN: Text(
        "A field's pattern is not valid.",
        "字段的格式模式无效。",
        "Write the pattern in the language of docs/protocol.md, rule F5.",
        "请按照 docs/protocol.md 规则 F5 书写模式。",
    ),
    Code.MALFORMED_TRANSACTION: Text(
        "The transaction is not well formed.",
        "交易格式不正确。",
        "Build it anew with `huzheng submit` or the client library.",
        "请用 `huzheng submit` 或客户端库重新生成。",
    ),
    Code.WRONG_CHAIN: Text(
        "This is for another chain.",
        "该数据属于另一条链。",
        "Use the genesis file of the network you are talking to.",
        "请使用当前网络的创世文件。",
    ),
    Code.BAD_BATCH: Text(
        "A proposed batch is not valid.",
        "提议的批次无效。",
        "The proposing replica is at fault; tell its operator.",
        "提议节点存在问题；请通知其运维人员。",
    ),
    Code.UNKNOWN_KEY: Text(
        "The key is not registered for this department.",
        "该密钥未在本部门登记。",
        "Sign with a registered key, or register this one with an admin key first.",
        "请使用已登记的密钥签名，或先用管理密钥登记该密钥。",
    ),
    Code.REVOKED_KEY: Text(
        "The key has been revoked.",
        "该密钥已被吊销。",
        "Sign with another registered key.",
        "请使用其他已登记的密钥签名。",
    ),
    Code.KEY_NOT_ALLOWED: Text(
        "The key's role does not allow this.",
        "该密钥的角色无权执行此操作。",
        "Sign records with a system key, key changes with an admin key.",
        "记录请用系统密钥签名，密钥变更请用管理密钥签名。",
    ),
    Code.EXPIRED: Text(
        "The transaction expired before it was ordered.",
        "交易在排序前已过期。",
        "Sign it again with a later expiry; check this machine's clock.",
        "请重新签名并设定更晚的到期时间；请检查本机时钟。",
    ),
    Code.LIFETIME_TOO_LONG: Text(
        "The transaction's expiry is further away than the network allows.",
        "交易到期时间超出网络允许的范围。",
        "Sign it again with an earlier expiry; check this machine's clock.",
        "请重新签名并设定更早的到期时间；请检查本机时钟。",
    ),
    Code.REPEATED: Text(
        "The transaction has been executed before.",
        "该交易此前已执行。",
        "Ask for the first result with `huzheng chain tx`.",
        "请用 `huzheng chain tx` 查询首次结果。",
    ),
    Code.UNKNOWN_RESOURCE: Text(
        "The resource is not in the catalogue.",
        "目录中没有该资源。",
        "See the resources in the genesis with `huzheng chain info`.",
        "请用 `huzheng chain info` 查看已有资源。",
    ),
    Code.NOT_OWNER: Text(
        "The resource belongs to another department.",
        "该资源归其他部门所有。",
        "Only the owning department may write it.",
        "只有归口部门可以写入。",
    ),
    Code.BAD_SUBJECT: Text(
        "The subject does not fit the resource.",
        "登记对象不符合该资源的要求。",
        "Check the subject, such as the 28-character property unit code.",
        "请检查登记对象，例如28位不动产单元代码。",
    ),
    Code.SCHEMA_MISMATCH: Text(
        "The record cites another schema version than the catalogue's.",
        "记录引用的结构版本与目录不一致。",
        "Build the record again with the current schema version.",
        "请按现行结构版本重新生成记录。",
    ),
    Code.BAD_PAYLOAD: Text(
        "The record's payload is not valid.",
        "记录内容无效。",
        "Build the record anew with `huzheng submit` or the client library.",
        "请用 `huzheng submit` 或客户端库重新生成记录。",
    ),
    Code.UNKNOWN_FIELD: Text(
        "The record has a field that the resource does not have.",
        "记录含有该资源未定义的字段。",
        "Remove the field, or check its name against the catalogue.",
        "请删除该字段，或对照目录核对字段名。",
    ),
    Code.MISSING_FIELD: Text(
        "The record lacks a required field.",
        "记录缺少必填字段。",
        "Fill in all fields that the catalogue marks as required.",
        "请填写目录要求的全部必填字段。",
    ),
    Code.BAD_FIELD: Text(
        "A field's value does not fit its type.",
        "字段值不符合其类型要求。",
        "Check the field that the detail names against the catalogue.",
        "请对照目录检查提示中的字段。",
    ),
    Code.VERSION_CONFLICT: Text(
        "The record does not follow the current version: someone else was first.",
        "记录与当前版本不衔接：已有他人先行更新。",
        "Read the current record, look at what changed, and submit again on top of it.",
        "请读取当前记录，核对变化后在其基础上重新提交。",
    ),
    Code.NOTHING_TO_REVOKE: Text(
        "There is no statement in force to revoke.",
        "没有可撤销的现势记录。",
        "Look at the history with `huzheng record history`.",
        "请用 `huzheng record history` 查看历史。",
    ),
    Code.KEY_EXISTS: Text(
        "The key is registered already.",
        "该密钥已登记。",
        "Make a new key with `huzheng keys new`.",
        "请用 `huzheng keys new` 生成新密钥。",
    ),
    Code.BAD_KEY: Text(
        "The key or its role is not admissible.",
        "密钥或其角色不合规。",
        "Make a new key with `huzheng keys new`.",
        "请用 `huzheng keys new` 生成新密钥。",
    ),
    Code.LAST_ADMIN_KEY: Text(
        "This is the department's last admin key.",
        "这是本部门最后一把管理密钥。",
        "Register another admin key first.",
        "请先登记另一把管理密钥。",
    ),
}


class HuzhengError(Exception):
    """The one root of all errors shown to people and programs.

    `detail` says what exactly, in English and without any submitted value: a field's name, a rule's number, a file's path.
    """

    def __init__(self, code: Code, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        text = f"{self.code}: {TEXTS[self.code].en}"
        return f"{text} ({self.detail})" if self.detail else text

    def message(self, language: Language = "en") -> str:
        """What went wrong, for people."""
        text = TEXTS[self.code]
        return text.zh if language == "zh" else text.en

    def hint(self, language: Language = "en") -> str:
        """What to do next, for people."""
        text = TEXTS[self.code]
        return text.hint_zh if language == "zh" else text.hint_en


def refusal(code: pb.ResultCode.ValueType) -> Code:
    """The error code of a refusal on chain (docs/protocol.md X3)."""
    return Code(pb.ResultCode.Name(code).removeprefix("RESULT_CODE_"))
