"""The Chinese of help, by its English."""

from __future__ import annotations

CHINESE_HELP: dict[str, str] = {
    # Frames
    "Usage:": "用法：",
    "Arguments": "参数",
    "Options": "选项",
    "Commands": "命令",
    "Common options": "通用选项",
    "[default: {}]": "[默认：{}]",
    "[required]": "[必填]",
    "Show this message and exit.": "显示帮助并退出。",
    "Install completion for the current shell.": "为当前 shell 安装命令补全。",
    "Show completion for the current shell, to copy it or customize the installation.": (
        "显示当前 shell 的补全脚本，以便复制或自行安装。"
    ),
    # Rebuild
    "Make a stopped node's database anew from its peers, when it is damaged, lost, or has diverged.": (
        "在数据库损坏、丢失或与其他节点不一致时，从其他节点重建已停止节点的数据库。"
    ),
    (
        "The old one is put aside, not deleted, once the new one is whole. What the node has signed is taken over from it if it "
        "can be read: only then does the node vote as before. If interrupted, run it again."
    ): (
        "新数据库完整后，原数据库移至一旁而不删除。如原数据库可读，沿用其中的签署记录：只有这样节点才照常投票。如被中断，请重新执行。"
    ),
    # Doctor
    "Look a node over, running or stopped: files, keys, certificate, disk, database, peers, clock.": (
        "检查运行中或已停止的节点：文件、密钥、证书、磁盘、数据库、对端节点、时钟。"
    ),
    "Changes nothing. Says for each finding what to do; exit status 9 if something has failed.": (
        "不作任何更改。逐项说明如何处理；有失败项时退出码为 9。"
    ),
    # All
    "Huzheng: a ledger that departments run together, so that what one registers the others can rely on.": (
        "互证 Huzheng：各部门共同维护的账本，一个部门登记的事项，其他部门均可采信。"
    ),
    (
        "Exit status: 0 done · 1 internal error · 2 wrong usage · 3 input not valid · 4 not proven · 5 refused by the "
        "ledger's rules · 6 not found · 7 not allowed · 8 try again (unreachable, timed out, overloaded) · 9 this "
        "machine's files or configuration · 130 interrupted. Errors go to standard error, as JSON with --output json."
    ): (
        "退出码：0 成功 · 1 内部错误 · 2 用法错误 · 3 输入无效 · 4 未能证明 · 5 被账本规则拒绝 · 6 未找到 · 7 无权执行 · "
        "8 请重试（无法连接、超时、过载）· 9 本机文件或配置问题 · 130 被中断。错误输出到标准错误；使用 --output json 时为 JSON。"
    ),
    "table for people (the default), json for programs.": "table 供人阅读（默认），json 供程序使用。",
    "Language of all texts; otherwise that of the locale.": "所有文字的语言；默认由系统区域设置决定。",
    "Who calls, and which nodes; otherwise HUZHENG_PROFILE or ./client.toml.": (
        "调用者身份与所连节点；默认取 HUZHENG_PROFILE 或 ./client.toml。"
    ),
    "Seconds to wait for each answer of a node (30 by default).": "等待节点每次应答的秒数（默认 30）。",
    "Show the version and stop.": "显示版本并退出。",
    # verify
    "The genesis file you trust; otherwise that of the profile.": "您信任的创世文件；默认取配置中的创世文件。",
    "Also demand that the genesis is this chain's, as published.": "同时要求创世文件属于该链标识（以公布的为准）。",
    # record
    "Read records: one, the history of a subject, or a whole resource.": "读取记录：单条、某对象的历史或整个资源。",
    "Show one record: the newest about a subject, an older version, or one by its id.": (
        "显示一条记录：某对象的最新版本、历史版本，或按标识查询。"
    ),
    "A record's id, or a resource and a subject.": "记录标识，或资源名与登记对象。",
    "This version; 0 is the newest.": "指定版本；0 表示最新。",
    "List all versions about a subject, oldest first.": "列出某对象的全部版本，从最早开始。",
    "Such as property.ownership.": "例如 property.ownership。",
    "Such as a property unit code.": "例如不动产单元代码。",
    "List the newest record of each subject in a resource, by subject.": "按对象列出资源中每个对象的最新记录。",
    "Only subjects that start with this.": "仅列出以此开头的对象。",
    "At most this many.": "最多列出的条数。",
    # receipt
    "Fetch receipts, which anyone with the genesis file can verify offline.": (
        "获取凭证；任何持有创世文件的人都可离线验证。"
    ),
    "Fetch the receipt of a record or transaction, verify it against the genesis, and keep it.": (
        "获取记录或交易的凭证，对照创世文件验证并保存。"
    ),
    "ID is a transaction's: prove how it ended, refusals too.": "标识为交易标识：证明其结果，包括拒绝。",
    "Keep the receipt in this file; - is standard output.": "将凭证保存到该文件；- 表示标准输出。",
    # submit
    "Sign the records of a file and put them on chain.": "为文件中的记录签名并上链。",
    (
        "The whole input is checked before anything is sent. Run the same command again after any interruption: it "
        "goes on where it stopped and submits nothing twice."
    ): "发送前先检查全部输入。中断后重新运行同一命令即可从中断处继续，不会重复提交。",
    "JSON or JSON Lines, one record a line; - is standard input.": (
        "JSON 或 JSON Lines，每行一条记录；- 表示标准输入。"
    ),
    "Records in a transaction; each transaction takes effect whole or not at all.": (
        "每笔交易的记录数；每笔交易要么全部生效，要么全部不生效。"
    ),
    "Transactions on their way at once.": "同时在途的交易数。",
    "Seconds to go on trying while no node answers.": "节点无应答时继续重试的秒数。",
    "Go on with other records after a refusal.": "遇到拒绝后继续处理其他记录。",
    "The journal; otherwise beside the input, as FILE.journal.": "提交日志；默认在输入文件旁，名为 FILE.journal。",
    "Add one line of JSON for each record here.": "将每条记录的结果以一行 JSON 追加到该文件。",
    "Check the whole input and send nothing.": "只检查全部输入，不发送。",
    # chain
    "Look at the chain; check or export a whole database.": "查看链；校验或导出整个数据库。",
    "Show the network: departments, nodes, resources, limits, and how far the chain is.": (
        "显示网络：部门、节点、资源、限额以及链的高度。"
    ),
    "Show a resource's fields: what a record in it must look like.": "显示资源的字段：其中的记录须符合的要求。",
    "Needs no node, only the genesis file.": "不需要节点，只需创世文件。",
    "The genesis file that you trust.": "您信任的创世文件。",
    "Show a block; its certificate, transactions and results are checked against the genesis.": (
        "显示区块；其证书、交易和结果均对照创世文件验证。"
    ),
    "Which block.": "哪个区块。",
    "Show a transaction and how it ended, proved by its receipt.": "显示交易及其结果，并由凭证证明。",
    "A transaction's id.": "交易标识。",
    "Follow the chain block by block until Ctrl-C.": "逐块跟踪链，按 Ctrl-C 结束。",
    "Every block is checked before it is shown; records are shown as the node tells them.": (
        "每个区块先验证再显示；记录按节点的应答显示。"
    ),
    "Start with this block; 0 is the next new one.": "从该区块开始；0 表示下一个新区块。",
    "Show each accepted record instead of each block.": "显示每条已接受的记录，而不是每个区块。",
    "With --records: only this resource.": "与 --records 合用：仅显示该资源。",
    "Stop after this many blocks; 0 is never.": "显示若干区块后停止；0 表示不停止。",
    "Re-check a stopped node's whole database from the genesis.": "从创世文件起重新校验已停止节点的整个数据库。",
    (
        "Every signature, certificate, result, index and state entry is made again and compared. Takes about as much "
        "disk again for the time of the check."
    ): "重新生成并比对每个签名、证书、结果、索引和状态项。校验期间需要与数据库相当的额外磁盘空间。",
    "A stopped node's directory, with its node.toml.": "已停止节点的目录，其中有 node.toml。",
    "A database's directory; needs --genesis too.": "数据库目录；还需指定 --genesis。",
    "Export blocks as JSON Lines.": "以 JSON Lines 导出区块。",
    "From a stopped node's database (--home or --data), or otherwise from a running node.": (
        "来自已停止节点的数据库（--home 或 --data），否则来自运行中的节点。"
    ),
    "The first block to export.": "导出的第一个区块。",
    "The last block to export; otherwise the newest.": "导出的最后一个区块；默认为最新区块。",
    "Write to this file instead of standard output.": "写入该文件而不是标准输出。",
    # node
    "Run a department's node and see how nodes are.": "运行部门节点，查看节点状态。",
    "Run a node until it is stopped with SIGTERM or Ctrl-C.": "运行节点，直到 SIGTERM 或 Ctrl-C。",
    "The node's directory, or its node.toml.": "节点目录，或其 node.toml。",
    "Only check configuration, keys and database, and stop.": "只检查配置、密钥和数据库，然后退出。",
    "See which replicas signed two different things, and the proof of it.": (
        "查看哪些节点签署了相互矛盾的内容及其证据。"
    ),
    "List the proofs that a node has kept, each verified anew; the node may be running.": (
        "列出节点保存的证据，并逐条重新验证；节点可以正在运行。"
    ),
    "Exit status 4 if one does not hold.": "有证据不成立时退出码为 4。",
    "Vote though this node may have forgotten what it signed. Only where all departments have decided so.": (
        "即使本节点可能已遗失签署记录，仍参与投票。仅限全体部门共同决定后使用。"
    ),
    "Show where a node stands: height, view, peers, warnings.": "显示节点状态：高度、视图、对端、警告。",
    "With --all, exit status 8 if a node does not answer.": "使用 --all 时，如有节点无应答则退出码为 8。",
    "Ask every node of the profile, one line each.": "查询配置中的每个节点，各占一行。",
    # network
    "Make a consortium: keys, certificates, genesis, directories to start from.": (
        "建立联盟：密钥、证书、创世文件和可直接启动的目录。"
    ),
    "Make a whole network for trials: everybody's keys in one directory, one ready-to-start directory per node.": (
        "建立试用网络：全部密钥在同一目录中，每个节点一个可直接启动的目录。"
    ),
    "A new directory for the whole network.": "整个网络的新目录。",
    "How many departments, all on this machine.": "部门数，全部在本机。",
    "Nodes listen at the ports after this one.": "节点监听此端口之后的端口。",
    "A plan file instead of a network on this machine.": "使用规划文件，而不是本机网络。",
    "Encrypt keys with a passphrase: HUZHENG_PASSPHRASE, or asked for.": (
        "用口令加密密钥：取自 HUZHENG_PASSPHRASE，或现场输入。"
    ),
    "How long TLS certificates are valid, in days.": "TLS 证书的有效天数。",
    "Step 1, in each department: make its keys and the public member file to hand out.": (
        "第一步，各部门：生成本部门密钥和可交出的公开成员文件。"
    ),
    "The plan, a TOML file that all departments agree on.": "各部门共同商定的规划文件（TOML）。",
    "The department's id in the plan.": "部门在规划中的标识。",
    "A new directory for the department's keys.": "存放部门密钥的新目录。",
    "Step 2, by anyone: assemble the genesis from all member files.": (
        "第二步，任何一方：用全部成员文件生成创世文件。"
    ),
    "All departments compare the chain id before they install it.": "各部门安装前须核对链标识。",
    "The member files of all departments.": "全部部门的成员文件。",
    "Where to write the genesis file.": "创世文件的写入位置。",
    "Step 3, in each department: put genesis and configuration beside its keys, ready to start.": (
        "第三步，各部门：在密钥旁放入创世文件和配置，即可启动。"
    ),
    "The directory that `prepare` made.": "`prepare` 生成的目录。",
    "The genesis that all agreed on.": "各方确认的创世文件。",
    "Renew a TLS certificate or issue a new one.": "续期或签发 TLS 证书。",
    "A running node takes it up without a restart.": "运行中的节点无需重启即可使用新证书。",
    "The directory with the department's ca.crt and ca.key.": "存放部门 ca.crt 与 ca.key 的目录。",
    "department:role:name, such as tax:clerk:clerk-2 or tax:replica:2.": (
        "部门:角色:名称，例如 tax:clerk:clerk-2 或 tax:replica:2。"
    ),
    "The directory in which tls.crt and tls.key are replaced.": "替换 tls.crt 与 tls.key 的目录。",
    # keys
    "Signing keys: make and show them, register and revoke them on chain.": (
        "签名密钥：生成、查看，以及在链上登记和吊销。"
    ),
    "Make a signing key.": "生成签名密钥。",
    "It does nothing on chain until an admin key registers it with `huzheng keys add`.": (
        "须由管理密钥用 `huzheng keys add` 登记后才能在链上使用。"
    ),
    "The new key file; an existing one is never replaced.": "新密钥文件；不会覆盖已有文件。",
    "What it signs: records, key changes, or votes.": (
        "用途：签署记录（system）、密钥变更（admin）或投票（consensus）。"
    ),
    "Show what a key file is for and its public key.": "显示密钥文件的用途和公钥。",
    "Never shows the secret, and needs no passphrase.": "不显示私钥，也不需要口令。",
    "A key file.": "密钥文件。",
    "Register a key of your department on chain, signed with the profile's admin key.": (
        "在链上登记本部门的密钥，由配置中的管理密钥签名。"
    ),
    "64 hexadecimal digits, or the key's file.": "64 位十六进制数，或密钥文件。",
    "What it may sign: records or key changes.": "可签署的内容：记录（system）或密钥变更（admin）。",
    "End a key of your department for good, signed with the profile's admin key.": (
        "永久吊销本部门的密钥，由配置中的管理密钥签名。"
    ),
    # sample-data
    "Make synthetic property records, ready for `huzheng submit`.": (
        "生成可直接用 `huzheng submit` 提交的模拟不动产记录。"
    ),
    (
        "Names and document numbers of the invented people go to a side file and never on chain, where a random id "
        "stands for a person."
    ): "虚构人员的姓名和证件号写入单独文件，绝不上链；链上以随机标识代表人员。",
    "A directory for the files, one per department.": "文件所在目录，每个部门一个文件。",
    "The same seed gives the same records.": "相同的种子生成相同的记录。",
    "How many records.": "记录数。",
    "Only this department's records.": "仅生成该部门的记录。",
    # member
    "The members: who votes, and the changes that a quorum of departments decides.": (
        "成员：由谁表决，以及由法定数部门决定的变更。"
    ),
    "The file that `member propose` wrote.": "`member propose` 写出的文件。",
    # certificate
    "Make a property certificate to print: an A4 page whose QR codes prove what it says.": (
        "制作可打印的不动产权证书核验页：A4 一页，其二维码可证明所载内容。"
    ),
    (
        "The statement is verified first. The page can be checked by anyone with the genesis file, from the PDF, a scan or a "
        "photograph: huzheng verify."
    ): "先验证现状证明。任何持有创世文件者均可凭 PDF、扫描件或照片核验：huzheng verify。",
    "The PDF to write; - is standard output.": "要写入的 PDF 文件；- 表示标准输出。",
    "Set it in this font, which must have Chinese.": "使用此字体排版，须含中文字符。",
    "The genesis of the chain that runs already.": "已在运行的链的创世文件。",
    "Show the replicas that vote now, and those of the next epoch if a change is under way.": (
        "显示现有表决副本节点；如有变更在途，并显示下一期成员。"
    ),
    "Proved from the genesis on; that nothing newer has been decided is the node's word.": (
        "自创世起逐期证明；是否另有更新的决定，以节点所述为准。"
    ),
    "The network's plan with the new department added at its end.": "在末尾增列新部门的网络规划文件。",
    "The new department's id in the plan.": "新部门在规划中的标识。",
    "In a department that is to join: make its keys, a node ready to start, and the public seat file to hand out.": (
        "由拟加入的部门执行：生成密钥、可直接启动的节点目录，以及对外提供的席位文件。"
    ),
    "The node's directory or node.toml.": "节点目录或 node.toml。",
    "The new key file.": "新密钥文件。",
    "The public seat file to hand out.": "对外提供的席位文件。",
    "Make another consensus key for a node, and the public seat file with which the members can enter it.": (
        "为节点另行生成共识密钥，并生成供各成员登记的席位文件。"
    ),
    "The new file to hand round for approval.": "供各部门传签的新文件。",
    "A seat file: a replica that joins, or gets another key.": "席位文件：加入的副本节点，或更换密钥的副本节点。",
    "A seat file, of which only the department is to join.": "席位文件：仅使其中的部门加入。",
    "A replica that is to vote no more.": "不再参加表决的副本节点。",
    "Put this version of the rules in force.": "启用此版本的规则。",
    "How long it may be carried out.": "可执行的天数。",
    "Write down a change of the membership. Nothing happens until enough departments have signed it.": (
        "写出一项成员变更。在足够多的部门签名之前不产生任何效果。"
    ),
    "Show what a change does and who has signed it. Checks the signatures; needs no node.": (
        "显示变更内容及已签名部门。校验签名，不需要节点。"
    ),
    "The profile that names the admin key.": "指明管理密钥的配置文件。",
    (
        "Approve a change in the name of your department, with the profile's admin key. "
        "Look at it first: `member show`."
    ): "以本部门名义、用配置中的管理密钥签署变更。请先用 `member show` 查看。",
    "The signed change, or its copies with other signatures.": "已签名的变更文件，或带有其他签名的副本。",
    "Have a change carried out that enough departments have signed.": "提交已由足够多部门签名的变更。",
    "Write a plan to start from: change names and addresses in it.": (
        "写出一份规划文件作为起点，可修改其中的名称与地址。"
    ),
    "The new plan file.": "新规划文件。",
    # Statements, history and anchors
    "A newer block that you trust (see `huzheng chain anchor`).": "您所信任的较新区块（见 `huzheng chain anchor`）。",
    "Also what the records say that are in force.": "同时包含现行有效记录的内容。",
    "Ask all nodes of the profile for their newest block, and whether they have one and the same chain.": (
        "向配置中的所有节点询问其最新区块，并核对是否为同一条链。"
    ),
    "Ask no node whether what is proved is still so.": "不向任何节点询问所证内容是否仍然有效。",
    "Exit status 4 if there are two chains; 8 if a node can't be asked.": (
        "出现两条链时退出码为 4；有节点无法询问时为 8。"
    ),
    "Fetch a statement, verify it against the genesis, and keep it: anyone can then verify it offline.": (
        "取得现状证明，依据创世文件验证并保存：任何人都可离线验证。"
    ),
    "Fetch statements: what is in force about a subject, and what there is not, proved as of one block.": (
        "取得现状证明：截至某一区块，关于某登记对象何者有效、何者不存在，均附证明。"
    ),
    "Go on to the newest block, and show the anchor that everything is verified under from then on.": (
        "推进到最新区块，并显示此后验证所依据的锚点。"
    ),
    "Have everything proved, also that there is nothing newer, instead of believing the node.": (
        "要求全部附带证明（包括没有更新的版本），而不是轻信节点。"
    ),
    "How the members changed, for a statement that does not say.": "成员变更证明，用于未附带该证明的现状证明。",
    (
        "If the profile's nodes can be reached, also says whether it is still so. Exit status 0 only if "
        "every file proves something that took effect and, as far as was asked, still holds; 4 if one proves "
        "nothing; 5 if one proves a refusal, or what no longer holds."
    ): (
        "如配置中的节点可以连通，还会说明所证内容是否仍然有效。仅当每个文件都证明了已生效且（在已询问的范围内）仍"
        "然有效的内容时，退出码为 0；有文件不能证明任何内容时为 4；证明的是拒绝或已不再有效的内容时为 5。"
    ),
    "Keep the proof in this file; - is standard output.": "将证明保存到该文件；- 表示标准输出。",
    "Keep the statement in this file; - is standard output.": "将现状证明保存到该文件；- 表示标准输出。",
    "Prove that a block, and all before it, are in the history of a later one.": (
        "证明某区块及其之前的全部区块都在较新区块的历史之中。"
    ),
    "Receipts, disclosures, statements, certificates as PDF, or pictures of their codes.": (
        "凭证、披露文件、现状证明、PDF 证书或其二维码的图片。"
    ),
    "Refuse a statement of what was so longer ago than this.": "拒绝早于该时限的现状证明。",
    "Resources, or registers that stand for all of theirs (such as property), and a subject.": (
        "资源名，或代表其全部资源的登记簿名（如 property），以及登记对象。"
    ),
    "The earlier block's height.": "较早区块的高度。",
    "The later block's height; 0 is the newest.": "较新区块的高度；0 表示最新。",
    "Verify receipts, disclosures, statements and printed certificates offline: needs no node, only the genesis file.": (
        "离线验证凭证、披露文件、现状证明和纸质证书：无需节点，只需创世文件。"
    ),
    "With --anchor: the proof that links the file's block with it.": (
        "与 --anchor 同用：将文件所属区块与锚点相连的证明。"
    ),
    "A statement that proves what a receipt's fields are called, where the genesis does not say.": (
        "现状证明文件，用于证明凭证中字段的名称（创世文件未载明时）。"
    ),
    "Also keep in this file what proves the names of the record's fields, if the genesis does not say them.": (
        "另将字段名称的证明存入该文件（创世文件未载明时）。"
    ),
    "With --anchor: likewise of the block as of which a disclosure, or --catalogue, proves a schema version.": (
        "与 --anchor 同用：披露文件或 --catalogue 证明结构版本时所依据的区块，与锚点相连的证明。"
    ),
    "Write the anchor to this file, for `huzheng verify`.": "将锚点写入该文件，供 `huzheng verify` 使用。",
    "The version that was the newest then, proved; such as 2021-03-01.": "当时的最新版本，附证明；如 2021-03-01。",
    "A receipt, disclosure, statement, anchor or proof of history.": "凭证、披露文件、现状证明、锚点或历史证明。",
    "Take a proof apart: the size of each part, with --output json all that is in it. Verifies nothing.": (
        "拆解证明文件：列出各部分的大小，加 --output json 则列出全部内容。不作验证。"
    ),
    "The property unit code; a node is asked for the statement.": "不动产单元代码；将向节点查询现状证明。",
    "Print this statement instead of asking a node.": "打印该现状证明文件，不向节点查询。",
    "Also write how the members changed, for `huzheng verify --epochs`.": (
        "同时写出成员变更证明，供 `huzheng verify --epochs` 使用。"
    ),
    # audit and reliance
    "See who read what, when and on which grounds, and what should be looked at.": (
        "查看谁于何时、以何依据读取了什么，以及须关注的事项。"
    ),
    "List reads of confidential fields, accepted and refused, oldest first, each of them proved.": (
        "列出对保密字段的读取，包括获准的和被拒绝的，由旧到新，逐条证明。"
    ),
    (
        "With --subject or --grant, and without times, that no accepted read is missing is proved too. Exit status 4 if it is not."
    ): "使用 --subject 或 --grant 且不限时间时，还证明获准的读取无一遗漏。未能证明时退出码为 4。",
    "Also keep the list with its proofs in this directory, for anyone to verify.": (
        "同时将清单及其证明保存到该目录，供任何人验证。"
    ),
    "Have each read proved, instead of believing the node.": "要求逐条证明读取，而非听信节点。",
    "Verify a list of reads with its proofs offline: needs no node, only the genesis file.": (
        "离线验证读取清单及其证明：不需要节点，只需创世文件。"
    ),
    "Exit status 4 if something that the list says is not proved by the files beside it.": (
        "清单所述如有未被同目录文件证明之处，退出码为 4。"
    ),
    "What `huzheng audit reads --proofs` has written.": "`huzheng audit reads --proofs` 写出的目录。",
    "Of this subject.": "该登记对象的读取。",
    "By this department.": "该部门的读取。",
    "Of this department's data.": "对该部门数据的读取。",
    "Under this grant.": "该授权项下的读取。",
    "Of this record; accepted reads only.": "对该记录的读取；仅限获准的。",
    "Only from this time on; such as 2021-03-01.": "仅限此时间起；如 2021-03-01。",
    "Only before this time.": "仅限此时间之前。",
    "Also write a table to this file; - is standard output.": "同时将表格写入该文件；- 表示标准输出。",
    "Show what should be looked at: overdue updates, unusual and refused reads, and what nobody acknowledged.": (
        "显示须关注的事项：逾期的更新、异常和被拒绝的读取，以及无人确认的事项。"
    ),
    "Exit status 4 if there is anything.": "如有任何事项，退出码为 4。",
    "See which records rely on others, and what becomes of these.": "查看哪些记录以其他记录为依据，以及所依据的记录有何变化。",
    "Follow what happens to records that your department's records rely on, until Ctrl-C.": (
        "持续显示本部门记录所依据的记录有何变化，直至按 Ctrl-C。"
    ),
    (
        "One line for each record of theirs that relies on one which was replaced or revoked: it has to be looked at. A connection "
        "that is lost is opened again, and nothing is left out. Shown as the node tells it."
    ): "所依据的记录被更正或撤销时，每条以其为依据的记录显示一行，须予复核。连接中断后自动重连，不会遗漏。内容以节点所述为准。",
    "Whose records rely; your own department's if it is not given.": "查看哪个部门的记录；不填则为本部门。",
    "Stop after this many events; 0 is never.": "显示若干条后停止；0 表示不停止。",
    "List all records that rely on a record, with their departments, and say whether it is still in force.": (
        "列出以某记录为依据的全部记录及其部门，并说明该记录是否仍然有效。"
    ),
    "The record's id.": "记录标识。",
}
