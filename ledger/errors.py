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
    VOTE_LOG_LOST = "VOTE_LOG_LOST"
    EPOCH_UNKNOWN = "EPOCH_UNKNOWN"
    PROTOCOL_UNKNOWN = "PROTOCOL_UNKNOWN"
    DIVERGED = "DIVERGED"
    REPLICA_BUG = "REPLICA_BUG"
    PEER_UNKNOWN = "PEER_UNKNOWN"
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
    WRONG_EPOCH = "WRONG_EPOCH"
    CHANGE_PENDING = "CHANGE_PENDING"
    CHANGE_EXPIRED = "CHANGE_EXPIRED"
    NOT_APPROVED = "NOT_APPROVED"
    BAD_DEPARTMENT = "BAD_DEPARTMENT"
    BAD_REPLICA = "BAD_REPLICA"
    TOO_FEW_REPLICAS = "TOO_FEW_REPLICAS"
    TOO_MANY_REPLICAS = "TOO_MANY_REPLICAS"
    TOO_MUCH_AT_ONCE = "TOO_MUCH_AT_ONCE"
    BAD_VERSION = "BAD_VERSION"
    # Database and blocks
    STORE_LOCKED = "STORE_LOCKED"
    STORE_CORRUPT = "STORE_CORRUPT"
    STORE_ROLLED_BACK = "STORE_ROLLED_BACK"
    STORE_WRONG_CHAIN = "STORE_WRONG_CHAIN"
    STORE_VERSION = "STORE_VERSION"
    STORE_FOREIGN = "STORE_FOREIGN"
    STORE_ACCESS = "STORE_ACCESS"
    STORE_DISK_FULL = "STORE_DISK_FULL"
    STORE_WRITE_FAILED = "STORE_WRITE_FAILED"
    BAD_BLOCK = "BAD_BLOCK"
    CHAIN_FAULT = "CHAIN_FAULT"
    # Calls and command line
    INTERNAL = "INTERNAL"
    INVALID_REQUEST = "INVALID_REQUEST"
    NOT_FOUND = "NOT_FOUND"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    OVERLOADED = "OVERLOADED"
    NOT_READY = "NOT_READY"
    TIMED_OUT = "TIMED_OUT"
    NODE_UNREACHABLE = "NODE_UNREACHABLE"
    TLS_REFUSED = "TLS_REFUSED"
    UNTRUSTED_ANSWER = "UNTRUSTED_ANSWER"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    BAD_FILE = "BAD_FILE"
    FILE_ACCESS = "FILE_ACCESS"
    PERSONAL_DATA = "PERSONAL_DATA"
    JOURNAL_MISMATCH = "JOURNAL_MISMATCH"
    JOURNAL_IN_USE = "JOURNAL_IN_USE"
    INTERRUPTED = "INTERRUPTED"
    # Node: keys, certificates, configuration
    CALLER_UNKNOWN = "CALLER_UNKNOWN"
    CALLER_NAME_INVALID = "CALLER_NAME_INVALID"
    CALLER_DEPARTMENT_MISMATCH = "CALLER_DEPARTMENT_MISMATCH"
    CALLER_NOT_ALLOWED = "CALLER_NOT_ALLOWED"
    CALLER_EXPIRED = "CALLER_EXPIRED"
    TLS_FILE_INVALID = "TLS_FILE_INVALID"
    TLS_KEY_MODE = "TLS_KEY_MODE"
    TLS_KEY_MISMATCH = "TLS_KEY_MISMATCH"
    TLS_WRONG_ISSUER = "TLS_WRONG_ISSUER"
    TLS_WRONG_HOLDER = "TLS_WRONG_HOLDER"
    TLS_EXPIRED = "TLS_EXPIRED"
    TLS_NOT_YET_VALID = "TLS_NOT_YET_VALID"
    KEY_FILE_MISSING = "KEY_FILE_MISSING"
    KEY_FILE_EXISTS = "KEY_FILE_EXISTS"
    KEY_FILE_MODE = "KEY_FILE_MODE"
    KEY_FILE_INVALID = "KEY_FILE_INVALID"
    KEY_WRONG_KIND = "KEY_WRONG_KIND"
    KEY_PASSPHRASE_NEEDED = "KEY_PASSPHRASE_NEEDED"
    KEY_PASSPHRASE_WRONG = "KEY_PASSPHRASE_WRONG"
    CONFIG_MISSING = "CONFIG_MISSING"
    CONFIG_INVALID = "CONFIG_INVALID"
    CONFIG_NOT_GENESIS = "CONFIG_NOT_GENESIS"
    NETWORK_DIRECTORY_USED = "NETWORK_DIRECTORY_USED"
    NETWORK_PLAN_INVALID = "NETWORK_PLAN_INVALID"
    MEMBER_FILE_INVALID = "MEMBER_FILE_INVALID"
    # Node: service
    CALLER_NOT_DEPARTMENT = "CALLER_NOT_DEPARTMENT"
    ADDRESS_IN_USE = "ADDRESS_IN_USE"
    ADDRESS_NOT_AVAILABLE = "ADDRESS_NOT_AVAILABLE"


@dataclass(frozen=True, slots=True)
class Text:
    """What a code says to people."""

    en: str
    zh: str
    hint_en: str
    hint_zh: str


TEXTS: dict[Code, Text] = {
    Code.NOT_STRICT: Text(
        "The bytes are not a message in strict form: damaged, cut short, or something else.",
        "数据不是严格编码形式的消息：已损坏、不完整，或是其他文件。",
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
    Code.EPOCH_UNKNOWN: Text(
        "The proof is of a membership that this verifier does not know.",
        "该证明对应的成员组未知。",
        "Use a newer version of the software, and a proof with its membership path.",
        "请使用较新的软件版本，并提供附带成员变更路径的证明。",
    ),
    Code.PROTOCOL_UNKNOWN: Text(
        "The block follows a protocol version that this software does not know.",
        "该区块采用的协议版本不受此软件支持。",
        "Use a newer version of the software.",
        "请使用较新的软件版本。",
    ),
    Code.DIVERGED: Text(
        "A quorum of replicas certified another block than this replica executed: its database or software is at fault.",
        "法定数量的节点认证了与本节点不同的区块：本节点的数据库或软件存在问题。",
        "Do as for a damaged database: move the data directory away (keep it for inspection) and start again. "
        "If it comes back, the software is at fault: report it.",
        "请按数据库损坏处理：移走数据目录（保留备查）后重新启动。若再次出现，则为软件缺陷，请报告。",
    ),
    Code.REPLICA_BUG: Text(
        "The replica found itself in a state that must not be, and stopped voting.",
        "节点发现自身状态异常，已停止投票。",
        "Keep the log and the data directory, restart the node, and report this as a defect.",
        "请保留日志与数据目录，重启节点，并报告此缺陷。",
    ),
    Code.PEER_UNKNOWN: Text(
        "The caller is no replica that this node has a link with.",
        "调用方不是本节点所连接的副本节点。",
        "Check the replica id in the caller's certificate and configuration.",
        "请检查调用方证书与配置中的节点编号。",
    ),
    Code.VOTE_LOG_CORRUPT: Text(
        "The vote log is damaged: this replica no longer knows what it has signed.",
        "投票日志已损坏：本节点无法确认曾签署的内容。",
        "Do as for a damaged database: move the data directory away (keep it) and start again, on no more nodes at a time than may fail.",
        "请按数据库损坏处理：移走（但保留）数据目录后重新启动；同时处理的节点数不得超过可容忍的故障数。",
    ),
    Code.VOTE_LOG_LOST: Text(
        "Peers hold messages signed with this replica's key that its vote log does not know: it was lost, or restored from an older copy.",
        "其他节点持有由本节点密钥签署、而本节点投票日志中没有的消息：投票日志已丢失，或由较旧的副本恢复。",
        "Put the newest intact database back if there is one. Otherwise this key must not vote again (docs/operations.md); reads go on.",
        "如有最新的完好数据库，请恢复使用；否则该密钥不得再用于投票（见 docs/operations.md），查询不受影响。",
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
    Code.WRONG_EPOCH: Text(
        "The change of the membership is for another epoch than the one in force.",
        "成员变更所针对的届次不是当前届次。",
        "Propose the change anew for the epoch in force, and have it signed again.",
        "请针对当前届次重新提出变更并重新签署。",
    ),
    Code.CHANGE_PENDING: Text(
        "Another change of the membership has been accepted and is not in force yet.",
        "另一项成员变更已获接受，尚未生效。",
        "Wait until it is in force, then propose the change anew.",
        "请等待其生效，然后重新提出变更。",
    ),
    Code.CHANGE_EXPIRED: Text(
        "The change of the membership was submitted too late.",
        "成员变更提交过晚，已失效。",
        "Propose it anew and have it signed again.",
        "请重新提出并重新签署。",
    ),
    Code.NOT_APPROVED: Text(
        "The change of the membership does not have the approvals that it needs.",
        "成员变更未获得所需的同意。",
        "Let more departments sign it, each with an admin key that is registered and not revoked: it takes a quorum of the departments that run a replica.",
        "请让更多部门用已登记且未吊销的管理密钥签署：须达到运行节点的各部门的法定数量。",
    ),
    Code.BAD_DEPARTMENT: Text(
        "The department is not known, or is to be added although it is there already.",
        "部门未知，或要新增的部门已存在。",
        "Check the department's id against the chain's members.",
        "请与链上成员核对部门标识。",
    ),
    Code.BAD_REPLICA: Text(
        "The replica is not a member, or its id has been used before, or is changed twice, or is another department's.",
        "该节点不是成员，或编号已被使用，或在同一变更中重复出现，或属于其他部门。",
        "Check it against the chain's members; a new replica has a higher id than any before.",
        "请与链上成员核对；新节点的编号须大于以往所有编号。",
    ),
    Code.TOO_FEW_REPLICAS: Text(
        "The change would leave fewer than four replicas: then none may fail, and a chain that stands still cannot change its members.",
        "变更后节点将少于四个：任何节点故障都会使链停止，而停止的链无法再变更成员。",
        "Add another replica first, or in the same change.",
        "请先新增节点，或在同一变更中新增。",
    ),
    Code.TOO_MANY_REPLICAS: Text(
        "A chain has at most 256 replicas.",
        "一条链最多有256个节点。",
        "Remove a replica first, or in the same change.",
        "请先移除节点，或在同一变更中移除。",
    ),
    Code.TOO_MUCH_AT_ONCE: Text(
        "So many replicas would be new that the chain would stand still if they did not come up.",
        "新节点过多：若它们未能启动，链将停止。",
        "Make the change in several steps, each after the one before is in force.",
        "请分步变更，每一步在前一步生效之后进行。",
    ),
    Code.BAD_VERSION: Text(
        "The protocol version to activate is not the one after the version in force.",
        "要启用的协议版本不是当前版本的下一版本。",
        "Activate versions one after the other.",
        "请逐个版本启用。",
    ),
    Code.STORE_LOCKED: Text(
        "Another process has the database open.",
        "数据库已被其他进程打开。",
        "Stop the node (or the other command) that uses this directory, then try again.",
        "请先停止使用该目录的节点或命令，然后重试。",
    ),
    Code.STORE_CORRUPT: Text(
        "The database is damaged.",
        "数据库已损坏。",
        "Stop the node, move its data directory away (keep it) and start again: the chain is fetched from the other nodes. "
        "It has forgotten its votes, so never do this on more nodes at a time than may fail (one of four).",
        "请停止节点，移走（但保留）其数据目录后重新启动：链数据会从其他节点获取。该节点已不记得曾投的票，"
        "因此同时这样处理的节点数不得超过可容忍的故障数（四个节点中为一个）。",
    ),
    Code.STORE_ROLLED_BACK: Text(
        "The database has lost writes that were durable before.",
        "数据库丢失了此前已持久化的写入。",
        "The disk lost data, or an old copy of files was put back. Put back the newest files if you have "
        "them; otherwise do as for a damaged database.",
        "磁盘丢失了数据，或恢复了旧的文件副本。如有最新文件请恢复；否则按数据库损坏处理。",
    ),
    Code.STORE_WRONG_CHAIN: Text(
        "The database belongs to another chain.",
        "数据库属于另一条链。",
        "Give the genesis file that the database was made with, or the data directory of this network.",
        "请使用创建该数据库的创世文件，或改用本网络的数据目录。",
    ),
    Code.STORE_VERSION: Text(
        "The database was written by another version of the software.",
        "数据库由其他版本的软件写入。",
        "Use the software version that wrote it, or a newer one that says it can read it.",
        "请使用写入该数据库的软件版本，或声明可读取它的更新版本。",
    ),
    Code.STORE_FOREIGN: Text(
        "The directory holds something else than a database of this software.",
        "该目录不是本软件的数据库。",
        "Give the node's data directory, or an empty or new one.",
        "请指定节点的数据目录，或空目录、新目录。",
    ),
    Code.STORE_ACCESS: Text(
        "The database directory cannot be used.",
        "无法使用数据库目录。",
        "Check the path, its owner and permissions: the user that runs the node must be able to write there.",
        "请检查路径、属主和权限：运行节点的用户须能写入该目录。",
    ),
    Code.STORE_DISK_FULL: Text(
        "The disk is full.",
        "磁盘空间已满。",
        "Free some space (or raise the quota), then start the node again: nothing that was confirmed is lost.",
        "请释放空间或提高配额，然后重新启动节点：已确认的数据不会丢失。",
    ),
    Code.STORE_WRITE_FAILED: Text(
        "Writing to the database failed.",
        "写入数据库失败。",
        "Check the disk and the system's log, then start the node again: nothing that was confirmed is lost.",
        "请检查磁盘和系统日志，然后重新启动节点：已确认的数据不会丢失。",
    ),
    Code.BAD_BLOCK: Text(
        "A block does not prove itself or breaks a rule.",
        "区块无法自证或违反规则。",
        "Do not rely on it; fetch the block from another node.",
        "请勿采信；请从其他节点重新获取该区块。",
    ),
    Code.CHAIN_FAULT: Text(
        "The database does not hold what the chain's rules demand.",
        "数据库内容与链的规则不符。",
        "Do not rely on this node's answers; keep the database for inspection and fetch the chain anew from "
        "the other nodes.",
        "请勿采信该节点的应答；保留数据库备查，并从其他节点重新获取整条链。",
    ),
    Code.INTERNAL: Text(
        "Something went wrong inside Huzheng.",
        "Huzheng 内部出现意外错误。",
        "Run again with HUZHENG_DEBUG=1 and report what it prints, without any personal data.",
        "请设置 HUZHENG_DEBUG=1 重新运行，并将输出（去除个人信息后）报告给维护人员。",
    ),
    Code.INVALID_REQUEST: Text(
        "The request is not valid.",
        "请求无效。",
        "Correct the request as the detail says.",
        "请按提示修改请求。",
    ),
    Code.NOT_FOUND: Text(
        "There is no such thing on this chain.",
        "链上没有该内容。",
        "Check the id or subject; if it was submitted just now, ask again once it is final.",
        "请核对标识或登记对象；如刚刚提交，请待其最终确认后再查询。",
    ),
    Code.PERMISSION_DENIED: Text(
        "Your certificate does not allow this.",
        "您的证书无权执行此操作。",
        "Use a certificate of the department and role that may do it.",
        "请使用有权部门和角色的证书。",
    ),
    Code.OVERLOADED: Text(
        "The node has as much work as it can take.",
        "节点负载已满。",
        "Wait a moment and send it again.",
        "请稍后重试。",
    ),
    Code.NOT_READY: Text(
        "The node is starting, stopping or catching up and cannot do this now.",
        "节点正在启动、停止或追赶区块，暂时无法处理。",
        "Try again shortly, or ask another node; see `huzheng node status`.",
        "请稍后重试或改用其他节点；可用 `huzheng node status` 查看状态。",
    ),
    Code.TIMED_OUT: Text(
        "No answer in time.",
        "等待应答超时。",
        "It may still take effect: look before you send it again. See `huzheng node status`, or allow more with --timeout.",
        "操作仍可能生效，重发前请先查询。可用 `huzheng node status` 查看状态，或用 --timeout 延长等待时间。",
    ),
    Code.NODE_UNREACHABLE: Text(
        "The node cannot be reached.",
        "无法连接节点。",
        "Check that the node is running and that the address in the profile is right.",
        "请确认节点正在运行，并检查配置文件中的地址。",
    ),
    Code.TLS_REFUSED: Text(
        "The secure connection was refused: one side does not accept the other's certificate.",
        "安全连接被拒绝：一方不接受另一方的证书。",
        "Check that no certificate has expired, that clocks are right, and that the profile names the node's department.",
        "请检查双方证书是否过期、时钟是否准确，以及配置中的节点所属部门是否正确。",
    ),
    Code.UNTRUSTED_ANSWER: Text(
        "The node's answer does not prove what was asked: it is not to be relied on.",
        "节点的应答不能证明所查询的内容，不可采信。",
        "Ask another department's node, and tell the operators of both.",
        "请改向其他部门的节点查询，并通知双方运维人员。",
    ),
    Code.NOT_IMPLEMENTED: Text(
        "The node does not know this call.",
        "节点不支持该调用。",
        "Use the same software version as the node.",
        "请使用与节点一致的软件版本。",
    ),
    Code.BAD_FILE: Text(
        "The file is not what it should be.",
        "文件内容不符合要求。",
        "Check that this is the right file and that it is complete.",
        "请确认文件正确且完整。",
    ),
    Code.FILE_ACCESS: Text(
        "The file or directory cannot be read or written.",
        "无法读取或写入文件或目录。",
        "Check the path, the permissions and the free space.",
        "请检查路径、权限和剩余空间。",
    ),
    Code.PERSONAL_DATA: Text(
        "This looks like personal data, which must never go on chain.",
        "内容疑似包含个人信息，禁止上链。",
        "Remove it, or put a random id in its place; values stay in the department's own system.",
        "请删除，或以随机标识代替；原值只保存在本部门系统中。",
    ),
    Code.JOURNAL_MISMATCH: Text(
        "The journal beside the input belongs to another input, chain or key.",
        "输入文件旁的提交日志属于其他输入、链或密钥。",
        "Continue with the input the journal was made for, or choose another journal with --journal.",
        "请使用该日志对应的输入文件继续，或用 --journal 另选日志文件。",
    ),
    Code.JOURNAL_IN_USE: Text(
        "Another run is submitting with this journal now.",
        "另一个进程正在使用该提交日志。",
        "Wait for it to end, or stop it first.",
        "请等待其结束，或先将其停止。",
    ),
    Code.INTERRUPTED: Text(
        "Stopped before the end.",
        "操作已中断。",
        "Run the same command again: it goes on where it stopped.",
        "请重新运行同一命令，将从中断处继续。",
    ),
    Code.CALLER_UNKNOWN: Text(
        "The caller's certificate was not issued by a department of this network.",
        "调用方证书不是本网络部门签发的。",
        "Use a certificate that your department's CA issued for this network.",
        "请使用本部门CA为本网络签发的证书。",
    ),
    Code.CALLER_NAME_INVALID: Text(
        "The certificate does not say who its holder is in the form this network uses.",
        "证书中的身份标识不符合本网络的格式。",
        "Have the department's CA issue it again with `huzheng network certificate`.",
        "请由部门CA用 `huzheng network certificate` 重新签发。",
    ),
    Code.CALLER_DEPARTMENT_MISMATCH: Text(
        "The certificate names another department than the one that issued it.",
        "证书所称部门与签发部门不一致。",
        "Use a certificate of your own department; if the CA issued this one, it is misused: tell its operator.",
        "请使用本部门证书；若确由该CA签发，则CA被滥用，请通知其管理员。",
    ),
    Code.CALLER_EXPIRED: Text(
        "The caller's certificate expired while the connection was open.",
        "连接期间调用方证书已过期。",
        "Have the department's CA issue a new one with `huzheng network certificate`, and connect again.",
        "请由部门CA用 `huzheng network certificate` 重新签发后重新连接。",
    ),
    Code.CALLER_NOT_ALLOWED: Text(
        "A certificate in this role may not do this.",
        "该角色的证书无权执行此操作。",
        "Use a certificate in a role that may, as the detail says.",
        "请按提示使用有权角色的证书。",
    ),
    Code.TLS_FILE_INVALID: Text(
        "A TLS certificate or key file cannot be read.",
        "无法读取TLS证书或密钥文件。",
        "Check the path, the owner and that it is a PEM file; restore it or issue a new one.",
        "请检查路径、属主及PEM格式；恢复文件或重新签发。",
    ),
    Code.TLS_KEY_MODE: Text(
        "A TLS key file can be read by others.",
        "TLS密钥文件可被他人读取。",
        "Run `chmod 600` on the file; if others have had access to this machine, issue a new certificate.",
        "请对该文件执行 `chmod 600`；若他人曾可访问本机，请重新签发证书。",
    ),
    Code.TLS_KEY_MISMATCH: Text(
        "The certificate and the key do not belong together.",
        "证书与密钥不匹配。",
        "Install both files from the same issue of the certificate.",
        "请安装同一次签发的两个文件。",
    ),
    Code.TLS_WRONG_ISSUER: Text(
        "The certificate was not issued by this department's CA in the genesis.",
        "证书不是创世文件中本部门CA签发的。",
        "Install a certificate from the CA whose certificate is in the genesis.",
        "请安装由创世文件所载CA签发的证书。",
    ),
    Code.TLS_WRONG_HOLDER: Text(
        "The certificate is for someone else.",
        "证书属于其他主体。",
        "Install the certificate that was issued for this node or user.",
        "请安装为本节点或本用户签发的证书。",
    ),
    Code.TLS_EXPIRED: Text(
        "The TLS certificate has expired.",
        "TLS证书已过期。",
        "Have the department's CA issue a new one with `huzheng network certificate`; check this machine's clock.",
        "请由部门CA用 `huzheng network certificate` 重新签发；请检查本机时钟。",
    ),
    Code.TLS_NOT_YET_VALID: Text(
        "The TLS certificate is not valid yet.",
        "TLS证书尚未生效。",
        "This machine's clock is probably behind: set it, or wait until the certificate is valid.",
        "本机时钟很可能偏慢：请校准，或等待证书生效。",
    ),
    Code.KEY_FILE_MISSING: Text(
        "A key file cannot be read.",
        "无法读取密钥文件。",
        "Check the path and the owner; restore the file from its backup.",
        "请检查路径和属主；从备份恢复该文件。",
    ),
    Code.KEY_FILE_EXISTS: Text(
        "The key file exists already; it is never overwritten.",
        "密钥文件已存在，不会被覆盖。",
        "Choose another name, or move the old file away first.",
        "请另选文件名，或先移走旧文件。",
    ),
    Code.KEY_FILE_MODE: Text(
        "A key file can be read by others.",
        "密钥文件可被他人读取。",
        "Run `chmod 600` on the file; if others have had access to this machine, replace the key.",
        "请对该文件执行 `chmod 600`；若他人曾可访问本机，请更换密钥。",
    ),
    Code.KEY_FILE_INVALID: Text(
        "This is not a key file.",
        "该文件不是密钥文件。",
        "Give the path of a file made by `huzheng keys new` or `huzheng network init`.",
        "请指定由 `huzheng keys new` 或 `huzheng network init` 生成的文件。",
    ),
    Code.KEY_WRONG_KIND: Text(
        "The key is for another use.",
        "该密钥另有用途。",
        "Use the key that was made for this purpose; keys are never shared between uses.",
        "请使用为此用途生成的密钥；不同用途的密钥不得混用。",
    ),
    Code.KEY_PASSPHRASE_NEEDED: Text(
        "The key file is encrypted and no passphrase was given.",
        "密钥文件已加密，但未提供口令。",
        "Set HUZHENG_PASSPHRASE_FILE or HUZHENG_PASSPHRASE, or run the command in a terminal.",
        "请设置 HUZHENG_PASSPHRASE_FILE 或 HUZHENG_PASSPHRASE，或在终端中运行命令。",
    ),
    Code.KEY_PASSPHRASE_WRONG: Text(
        "The passphrase does not open the key file, or the file is damaged.",
        "口令无法打开密钥文件，或文件已损坏。",
        "Check the passphrase and try again; without it the key cannot be recovered.",
        "请核对口令后重试；遗失口令则密钥无法恢复。",
    ),
    Code.CONFIG_MISSING: Text(
        "The configuration file cannot be read.",
        "无法读取配置文件。",
        "Give the path of the file; `huzheng network init` makes one per node and client.",
        "请指定文件路径；`huzheng network init` 会为每个节点和客户端生成。",
    ),
    Code.CONFIG_INVALID: Text(
        "The configuration is not valid.",
        "配置无效。",
        "Correct all that the detail lists, and start again.",
        "请按提示逐项改正后重新启动。",
    ),
    Code.CONFIG_NOT_GENESIS: Text(
        "The configuration does not fit the genesis.",
        "配置与创世文件不符。",
        "Check that the files belong to this node and network; correct all that the detail lists.",
        "请确认文件属于本节点和本网络，并按提示逐项改正。",
    ),
    Code.NETWORK_DIRECTORY_USED: Text(
        "The directory is not empty; a network is never written over another.",
        "目录非空；不会覆盖已有网络。",
        "Choose a new directory.",
        "请另选一个新目录。",
    ),
    Code.NETWORK_PLAN_INVALID: Text(
        "The description of the network is not valid.",
        "网络描述无效。",
        "Correct what the detail says.",
        "请按提示改正。",
    ),
    Code.MEMBER_FILE_INVALID: Text(
        "A department's member file is not valid.",
        "部门成员文件无效。",
        "Have the department send it again as `huzheng network prepare` wrote it.",
        "请该部门按 `huzheng network prepare` 的输出原样重新提供。",
    ),
    Code.CALLER_NOT_DEPARTMENT: Text(
        "The transaction is in the name of another department than the caller's.",
        "交易所属部门与调用方部门不一致。",
        "Submit with a certificate of the department that signed the transaction.",
        "请使用签署该交易的部门的证书提交。",
    ),
    Code.ADDRESS_IN_USE: Text(
        "Another program listens on this address already.",
        "该地址已被其他程序占用。",
        "Stop the other program (perhaps another copy of this node), or choose another port in node.toml.",
        "请停止占用端口的程序（可能是本节点的另一进程），或在 node.toml 中更换端口。",
    ),
    Code.ADDRESS_NOT_AVAILABLE: Text(
        "The node cannot listen on this address.",
        "节点无法监听该地址。",
        "Set an address of this machine in node.toml, and a port above 1023 unless the service may use lower ones.",
        "请在 node.toml 中填写本机地址；除非服务有相应权限，请使用1023以上的端口。",
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
