"""What is said of bytes, proofs, transactions, blocks and databases."""

from __future__ import annotations

from ledger.errors.codes import Code, Text

CHAIN_TEXTS: dict[Code, Text] = {
    # Bytes and proofs
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
    Code.VOTE_LOG_CORRUPT: Text(
        "The vote log is damaged: this replica no longer knows what it has signed.",
        "投票日志已损坏：本节点无法确认曾签署的内容。",
        "Stop the node and follow 'A lost or damaged database' in docs/operations.md: an emptied database does not vote again by itself.",
        "请停止节点，按 docs/operations.md 中“A lost or damaged database”一节处理：清空数据库后节点不会自行恢复投票。",
    ),
    Code.VOTE_LOG_LOST: Text(
        "Peers hold messages signed with this replica's key that its vote log does not know: it was lost, or restored from an older copy.",
        "其他节点持有由本节点密钥签署、而本节点投票日志中没有的消息：投票日志已丢失，或由较旧的副本恢复。",
        "Put the newest intact database back if there is one. Otherwise this key must not vote again (docs/operations.md); reads go on.",
        "如有最新的完好数据库，请恢复使用；否则该密钥不得再用于投票（见 docs/operations.md），查询不受影响。",
    ),
    Code.EPOCH_UNKNOWN: Text(
        "The proof is of a membership that this verifier does not know.",
        "该证明对应的成员组未知。",
        "Use a newer version of the software, and a proof with its membership path.",
        "请使用较新的软件版本，并提供附带成员变更路径的证明。",
    ),
    Code.FORKED: Text(
        "Two different blocks of one height are sealed: more nodes than may be faulty have lied, or their keys were stolen.",
        "同一高度存在两个均已签署的不同区块：作恶的节点已超过容许数量，或其密钥被盗。",
        "Rely on neither. Keep both files, and tell the operators of all departments at once.",
        "两者均不可采信。请保留双方文件，并立即通知各部门运维人员。",
    ),
    Code.STALE: Text(
        "The statement is older than was asked for.",
        "该现状证明的出具时间早于所要求的时限。",
        "It was true at its time. Ask a node for a new one, or allow a greater age.",
        "它在出具之时属实。请向节点重新查询，或放宽时限。",
    ),
    Code.SCHEMA_UNKNOWN: Text(
        "The record cites a schema version that this verifier does not know.",
        "记录引用的结构版本未知。",
        "Get a disclosure that proves the schema version too, or use a newer version of the software.",
        "请获取同时证明结构版本的披露文件，或使用较新的软件版本。",
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
        "Stop the node and follow 'A lost or damaged database' in docs/operations.md: an emptied database does not vote again by itself. "
        "If it comes back, the software is at fault: report it.",
        "请停止节点，按 docs/operations.md 中“A lost or damaged database”一节处理：清空数据库后节点不会自行恢复投票。"
        "若再次出现，则为软件缺陷，请报告。",
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
    # Genesis and catalogue
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
    # Transactions that are not well formed (docs/protocol.md T3 to T5)
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
    # Refusals on chain (docs/protocol.md X3)
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
    # Database and blocks
    Code.STORE_LOCKED: Text(
        "Another process has the database open.",
        "数据库已被其他进程打开。",
        "Stop the node (or the other command) that uses this directory, then try again.",
        "请先停止使用该目录的节点或命令，然后重试。",
    ),
    Code.STORE_CORRUPT: Text(
        "The database is damaged.",
        "数据库已损坏。",
        "Stop the node and follow 'A lost or damaged database' in docs/operations.md: an emptied database does not vote again by itself.",
        "请停止节点，按 docs/operations.md 中“A lost or damaged database”一节处理：清空数据库后节点不会自行恢复投票。",
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
    Code.REBUILD_INCOMPLETE: Text(
        "The database could not be rebuilt whole. Nothing was put aside.",
        "未能完整重建数据库，原数据库保持不变。",
        "See to it that other nodes run and can be reached (huzheng doctor DIR), and run the command again: it goes on where it was.",
        "请确认其他节点正在运行且可以连接（huzheng doctor DIR），然后重新执行该命令，将从中断处继续。",
    ),
}
