"""The Chinese of what commands print, by its English. Help is in `chinese_help`."""

from __future__ import annotations

from node.cli.chinese_backup import CHINESE_BACKUP
from node.cli.chinese_catalogue import CHINESE_CATALOGUE
from node.cli.chinese_expunging import CHINESE_EXPUNGING
from node.cli.chinese_help import CHINESE_HELP
from node.cli.chinese_sharing import CHINESE_SHARING

CHINESE: dict[str, str] = (
    CHINESE_HELP
    | CHINESE_CATALOGUE
    | CHINESE_SHARING
    | CHINESE_BACKUP
    | CHINESE_EXPUNGING
    | {
        # Words
        "Action": "操作",
        "Address": "地址",
        "Block": "区块",
        "Configuration": "配置",
        "TLS certificate": "TLS 证书",
        "Disk": "磁盘",
        "Database": "数据库",
        "Clock": "时钟",
        "do": "处理",
        "All is well.": "一切正常。",
        "{f} failed, {w} to look at, {o} well.": "{f} 项失败，{w} 项需留意，{o} 项正常。",
        "chain {id}…": "链 {id}…",
        "{n} days left": "剩余 {n} 天",
        "{n} MiB free, {p} % used": "可用 {n} MiB，已用 {p} %",
        "height {n}; the newest block proves itself, the vote log is in order": "高度 {n}；最新区块可自证，投票日志正常",
        "in use by the running node": "正由运行中的节点使用",
        "there is none in {dir}": "{dir} 中没有数据库",
        "not opened: it belongs to the user {user}": "未打开：属于用户 {user}",
        "runs, height {h}, view {v}": "正在运行，高度 {h}，视图 {v}",
        "this node of the department has one too": "本部门的该节点也有保险库",
        "A department has one vault: see 'The vault' in docs/operations.md, and take [vault] out of one of them.": (
            "一个部门只能有一个保险库：见 docs/operations.md 中“The vault”一节，并从其中一个节点的配置中去掉 [vault]。"
        ),
        "does not run: {address}": "未运行：{address}",
        "warns: {code}": "警告：{code}",
        "answers, height {h}": "有应答，高度 {h}",
        "answers, height {h}, runs another version: {v}": "有应答，高度 {h}，软件版本不同：{v}",
        "{n} s ahead of the others'": "比其他节点快 {n} 秒",
        "wrong: {n} s ahead of the others'": "有误：比其他节点快 {n} 秒",
        "wrong: {n} s ahead of the network's": "有误：比网络快 {n} 秒",
        "too few peers answer to compare it with": "有应答的节点太少，无法比较",
        "Renew it: 'Certificates' in docs/operations.md. No restart.": (
            "请更换：见 docs/operations.md 中“Certificates”一节，无需重启。"
        ),
        "Make room before writes fail: the node stops voting on a full disk.": (
            "请在写入失败之前腾出空间：磁盘满时节点停止投票。"
        ),
        (
            "A new node makes it when it starts. If there was one, see 'A lost or damaged database' in "
            "docs/operations.md before you start anything."
        ): (
            "新节点启动时会自动创建。如原有数据库已丢失，启动之前请先阅读 docs/operations.md 中“A lost or damaged database”一节。"
        ),
        "Run this as that user, and with the node stopped: runuser -u {user}": (
            "请停止节点，并以该用户身份执行：runuser -u {user}"
        ),
        "Start it if it should run; the end of its log says why it ended.": "如应运行，请启动；停止原因见日志末尾。",
        "See the table of warnings under 'Watch' in docs/operations.md.": "见 docs/operations.md 中“Watch”一节的警告表。",
        "Fine during an upgrade, one node at a time.": "逐个节点升级期间属正常情况。",
        "Mend time synchronisation: chronyc tracking, or timedatectl.": (
            "请修复时间同步：chronyc tracking 或 timedatectl。"
        ),
        "Tell its operator.": "请通知其运维人员。",
        "Look at the peers first.": "请先检查对端节点。",
        "Chain id": "链标识",
        "Fetched": "取得",
        "Fetching": "正在取得区块",
        "It differs": "与原链不同",
        "Old database": "原数据库",
        "Votes": "投票日志",
        "lost": "已丢失",
        "Rebuilt up to height {height}.": "已重建至高度 {height}。",
        "{n} blocks from peers, {m} from the old database": "其他节点 {n} 个区块，原数据库 {m} 个区块",
        "from block {height} on": "自区块 {height} 起",
        "taken over, {n} entries: the node votes as before": "已沿用，共 {n} 条：节点照常投票",
        (
            "What this node signed is not known any more: it will follow and answer reads, without a vote. "
            "See 'A lost or damaged database' in docs/operations.md."
        ): (
            "已无法得知本节点曾签署的内容：节点将跟随链并提供查询，但不投票。"
            "见 docs/operations.md 中“A lost or damaged database”一节。"
        ),
        "Checked": "已校验",
        "Consensus key": "共识公钥",
        "Crypto suite": "密码套件",
        "Department": "部门",
        "Encrypted": "已加密",
        "Expires": "有效期至",
        "Field": "字段",
        "Fields": "字段数",
        "File": "文件",
        "Genesis": "创世文件",
        "Hash": "哈希",
        "Height": "高度",
        "In the name of": "提交名义",
        "Kind": "用途",
        "Last heard": "最近通信",
        "Lines": "行数",
        "Network": "网络",
        "Newest block": "最新区块",
        "No.": "序号",
        "Node": "节点",
        "On chain": "链上数据",
        "Parent": "父区块",
        "Peer": "对端节点",
        "Proposer": "提议节点",
        "Public key": "公钥",
        "Quorum": "法定数",
        "Record id": "记录标识",
        "Records": "记录数",
        "Registered by": "登记部门",
        "Relies on": "所依据的记录",
        "Replaces": "取代记录",
        "Required": "必填",
        "Resource": "资源",
        "Result": "结果",
        "Running since": "启动时间",
        "Sealed by": "签章节点",
        "Signed with": "签名公钥",
        "Software": "软件版本",
        "State": "状态",
        "State root": "状态根",
        "Subject": "登记对象",
        "TLS certificate until": "TLS证书有效期至",
        "Time": "时间",
        "Title": "名称",
        "Transaction": "交易",
        "Transactions": "交易数",
        "Trusting": "信任依据",
        "Value": "取值要求",
        "Version": "版本",
        "View": "视图",
        "Message": "消息",
        "Replica": "节点编号",
        "Proved": "已证实",
        "No replica is known to have signed two different things.": "未发现任何节点签署相互矛盾的内容。",
        "Waiting": "待处理",
        "Warnings": "警告",
        "Written by": "归口部门",
        "asserts": "登记",
        "backup": "备份节点",
        "chain": "链",
        "connected": "已连接",
        "NOT CONNECTED": "未连接",
        "epoch": "纪元",
        "error": "错误",
        "hint": "建议",
        "newest": "现势",
        "no": "否",
        "none (null block)": "无（空区块）",
        "not said": "未注明",
        "people (stays off chain)": "人员（不上链）",
        "primary": "主节点",
        "protocol": "协议版本",
        "replaced": "已被取代",
        "revokes": "撤销",
        "this node": "本节点",
        "transaction": "交易",
        "yes": "是",
        # Counts
        ", {n} behind the network": "，落后网络 {n} 个区块",
        "{n} entries, {v} votes": "{n} 个数据项，{v} 条投票",
        "{n} transactions": "{n} 笔交易",
        "{q} of {n} nodes; {f} may fail": "{n} 个节点中的 {q} 个；可容忍 {f} 个故障",
        "{r} records, {n} transactions": "{r} 条记录，{n} 笔交易",
        # While something runs
        "Checking": "校验中",
        "Exporting": "导出中",
        "Making keys": "生成密钥",
        "Making records": "生成记录",
        "Submitting": "提交中",
        "Stopped.": "已停止。",
        "Stopped. Run the same command again: it goes on where it stopped.": "已停止。重新运行同一命令即可从中断处继续。",
        "Connection lost; connecting again.": "连接中断，正在重新连接。",
        # Receipts and records
        "VALID: this record is on the chain.": "验证通过：该记录已上链。",
        "VALID: this revocation is on the chain.": "验证通过：该撤销已上链。",
        "VALID: this transaction was accepted.": "验证通过：该交易已被接受。",
        "VALID receipt of a REFUSAL: this transaction did not take effect ({code}).": (
            "凭证有效，但证明的是拒绝：该交易未生效（{code}）。"
        ),
        "NOT PROVEN: do not rely on this file.": "验证未通过：请勿采信该文件。",
        "A receipt proves what was registered then; it can't show whether a newer version exists.": (
            "凭证证明当时登记的内容，不能说明之后是否有更新的版本。"
        ),
        "Keep it with --out FILE; anyone can then check it with `huzheng verify`.": (
            "可用 --out 文件名 保存；任何人都可用 `huzheng verify` 离线验证。"
        ),
        "Receipt kept in {file}, {n} bytes.": "凭证已保存到 {file}，共 {n} 字节。",
        "Verified against chain {id}….": "已对照链 {id}… 验证。",
        "Nothing is in force: the newest statement was withdrawn.": "现无有效登记：最新一条已被撤销。",
        "{node} is not believed, the next one is asked. {reason}": "{node} 的应答不可信，改问下一个节点。{reason}",
        "Not verified: this is the node's word.": "未经验证：仅为该节点的应答。",
        "There are more: raise --limit or narrow down with --prefix.": (
            "还有更多：请增大 --limit 或用 --prefix 缩小范围。"
        ),
        # Transactions
        "ACCEPTED": "已接受",
        "REFUSED: {code}, at position {n}.": "已拒绝：{code}，位置 {n}。",
        "registers the {role} key {key}": "登记 {role} 密钥 {key}",
        "revokes the key {key}": "吊销密钥 {key}",
        "changes the membership, approved by {departments}": "变更成员，同意部门：{departments}",
        "{time}  block {h}  transactions {n}, records {r}  {hash}…": "{time}  区块 {h}  交易 {n}，记录 {r}  {hash}…",
        # Submitting
        "All valid: {n} records, {t} transactions. Nothing was sent.": (
            "全部 {n} 条记录有效，共 {t} 笔交易。未发送任何内容。"
        ),
        "On chain already, from an earlier run: {n} records.": "{n} 条记录已在之前的运行中上链。",
        "{n} records accepted in {k} transactions, {s:.1f} s. Every receipt was verified.": (
            "{n} 条记录已上链，共 {k} 笔交易，用时 {s:.1f} 秒。所有凭证均已验证。"
        ),
        "{n} of {total} records are on chain. Run the same command again: it goes on where it stopped.": (
            "{total} 条记录中已有 {n} 条上链。重新运行同一命令即可从中断处继续。"
        ),
        "Nothing left to submit.": "没有需要提交的记录。",
        "Record {first} refused:": "第 {first} 条记录被拒绝：",
        "{why} Trying again for up to {s:.0f} s.": "{why}将在 {s:.0f} 秒内继续重试。",
        "Records {first} to {last} refused:": "第 {first} 至 {last} 条记录被拒绝：",
        "Correct the input and run the same command again: what is on chain is not submitted twice.": (
            "请修改输入后重新运行同一命令：已上链的记录不会重复提交。"
        ),
        # The chain
        "All verified, from the genesis to height {height}.": "全部验证通过：从创世区块到高度 {height}。",
        # Nodes
        "All is well: replica {n}, height {h}.": "检查通过：节点 {n}，高度 {h}。",
        "no answer: {code}": "无应答：{code}",
        "warning {code}: {words}": "警告 {code}：{words}",
        # Networks
        "Network made in {directory}.": "网络已建立：{directory}。",
        "Fewer than four nodes tolerate no fault: one that fails stops the chain.": (
            "少于四个节点时不能容错：任何一个节点故障都会使链停止。"
        ),
        "Start each node in a terminal of its own, then look at it:": "请在各自的终端中启动节点，然后查看状态：",
        "Keys made in {directory}.": "密钥已生成：{directory}。",
        "Hand out {file}: it holds no secret. Everything else stays here.": (
            "请交出 {file}：其中不含秘密。其余文件均须留在本机。"
        ),
        "Genesis written to {file}.": "创世文件已写入 {file}。",
        "Every department compares this chain id with the others' before it installs the file.": (
            "各部门安装该文件前，须与其他部门核对链标识。"
        ),
        "Ready. Start the node with:": "准备就绪。启动节点：",
        "Certificate of {holder} written to {keys}.": "{holder} 的证书已写入 {keys}。",
        # Keys
        "Key made in {file}. Keep it secret.": "密钥已生成：{file}。请妥善保密。",
        "Registered.": "已登记。",
        "Revoked.": "已吊销。",
        "New passphrase: ": "新口令：",
        "Once more: ": "再次输入：",
        "the two differ": "两次输入不一致",
        # Samples
        (
            "Submit each file with that department's profile, planning.jsonl first, as others rely on it: "
            "huzheng submit FILE --profile …"
        ): (
            "请用各部门的配置提交其文件，先提交planning.jsonl（其他部门的记录以其为依据）：huzheng submit 文件 --profile …"
        ),
        # Usage errors
        "See `{path} --help`.": "请参阅 `{path} --help`。",
        "Missing: {what}.": "缺少：{what}。",
        "There is no option {what}.": "没有选项 {what}。",
        "{what} does not accept this value: {why}": "{what} 不接受该值：{why}",
        "The same transaction may have been accepted in another block: ask a node for its first result.": (
            "同一交易可能已在其他区块中被接受：请向节点查询其首次结果。"
        ),
        "The command line is not understood: {why}": "无法理解命令行：{why}",
        "From epoch 1 on, the accused replica's key is as this node noted it: compare with `huzheng member list`.": (
            "自第 1 期起，被指副本节点的公钥以本节点的记载为准：请与 `huzheng member list` 核对。"
        ),
        # member
        "Epoch {n}, in force": "第 {n} 期，现行",
        "Epoch {n}, from block {height} on": "第 {n} 期，自区块 {height} 起",
        "Proved by {n} changes from the genesis on.": "由创世起的 {n} 次变更证明。",
        "{n} replicas, quorum {q}, {f} may be faulty; a change needs the signatures of {a} departments.": (
            "{n} 个副本节点，法定数 {q}，可容 {f} 个故障；变更须 {a} 个部门签名。"
        ),
        "Ends epoch": "终结的期次",
        "To be carried out until": "执行期限",
        "Signed by": "已签名",
        "nobody yet": "尚无",
        "Signatures needed": "所需签名数",
        "{name} ({department}) joins the consortium": "{name}（{department}）加入联盟",
        "replica {replica} of {department} joins, with the key {public_key}": (
            "{department} 的副本节点 {replica} 加入，公钥 {public_key}"
        ),
        "replica {replica} of {department} gets the key {public_key}": (
            "{department} 的副本节点 {replica} 改用公钥 {public_key}"
        ),
        "replica {replica} votes no more": "副本节点 {replica} 不再参加表决",
        "version {version} of the rules comes into force": "规则第 {version} 版生效",
        "Signed for {department}.": "已代表 {department} 签名。",
        "Accepted. It is in force {n} blocks later.": "已接受，{n} 个区块后生效。",
        "Name the key as node.next_consensus_key in {file}, and restart the node.": (
            "请在 {file} 中以 node.next_consensus_key 写明该密钥，并重启节点。"
        ),
        "Plan written to {file}.": "规划已写入 {file}。",
        # Statements, history and anchors
        "Anchor": "锚点",
        "Behind": "落后",
        "Epoch": "期",
        "In force": "是否有效",
        "Same chain": "同一条链",
        "block": "区块",
        "Compare the hash with another department's before you hand the file on.": (
            "转交该文件之前，请与其他部门核对哈希值。"
        ),
        "NO LONGER SO at {time}, block {height}: {resource} has changed since.": (
            "已有变更（{time}，区块 {height}）：{resource} 此后已变。"
        ),
        "PROVED: block {old} ({old_hash}…) and all before it are in the history of block {new} ({new_hash}…).": (
            "已证明：区块 {old}（{old_hash}…）及其之前的全部区块都在区块 {new}（{new_hash}…）的历史之中。"
        ),
        "Proof kept in {file}, {n} bytes.": "证明已保存到 {file}，{n} 字节。",
        (
            "Proved, and that there is nothing newer: as of block {height}, {time}, {age} ago. Trusting chain {id}…."
        ): "已证明，且没有更新的版本：截至区块 {height}，{time}，{age}前。所信任的链 {id}…。",
        "STILL SO at {time}, block {height}: there is nothing newer.": (
            "至今未变（{time}，区块 {height}）：没有更新的版本。"
        ),
        "The genesis is enough for this receipt: {file} is not written.": "该凭证仅凭创世文件即可读懂：未写入 {file}。",
        "For the names of the fields: huzheng verify --catalogue {file}": "核验时显示字段名称：huzheng verify --catalogue {file}",
        "Left out, as no record there can be about this: {names}.": "未包括（其中不会有关于该登记对象的记录）：{names}。",
        "Proved: these are all {n} resources of the register {name}.": "已证明：{name} 登记簿的全部 {n} 项资源均在其中。",
        "The register {name} has {n} resources; of {m} of them this statement says nothing.": (
            "{name} 登记簿有 {n} 项资源；其中 {m} 项本证明未涉及。"
        ),
        "Statement kept in {file}, {n} bytes.": "现状证明已保存到 {file}，{n} 字节。",
        "VALID: this was so at {time}, {age} ago; block {height}.": (
            "验证通过：截至 {time}（{age}前，区块 {height}）情况如下。"
        ),
        "Whether it is still so could not be asked: {reason}": "未能询问是否仍然有效：{reason}",
        "no, never was": "否，从未登记",
        "no, withdrawn": "否，已撤销",
        "{n} seconds": "{n} 秒",
        "{n} minutes": "{n} 分钟",
        "{n} hours": "{n} 小时",
        "{n} days": "{n} 天",
        "It was the newest then, and still is.": "当时为最新版本，至今仍是。",
        "It was the newest then, until block {height}, {time}.": "当时为最新版本，直至区块 {height}（{time}）被更新。",
        "all": "合计",
        "Part": "组成部分",
        "Bytes": "字节",
        "Not verified: `huzheng verify` says what it proves.": "未经验证：所证内容以 `huzheng verify` 为准。",
        # disclosure
        "Confidential fields, as the record commits to them:": "保密字段（与记录的承诺相符）：",
        "It shows no confidential field.": "其中未出示任何保密字段。",
        "no value": "无值",
        "Confidential: hand this file to nobody who has no right to what it shows.": (
            "内容保密：请勿将该文件交给无权知悉其内容者。"
        ),
        # certificate
        "The page can't say anything of what came after the genesis: {names}.": "核验页不能包含创世之后发布的资源：{names}。",
        "`huzheng statement get property` does.": "请用 `huzheng statement get property` 查询。",
        "Certificate written to {file}, {n} bytes.": "证书核验页已写入 {file}，共 {n} 字节。",
        "Anyone with the genesis file can check it, printed too: huzheng verify {file}": (
            "任何持有创世文件者均可核验，打印件亦可：huzheng verify {file}"
        ),
        "Proved, and that there is a newer one: as of block {height}, {time}, {age} ago. Trusting chain {id}….": (
            "已证明，但之后已有更新的版本：截至区块 {height}，{time}，{age}前。所信任的链 {id}…。"
        ),
        "Nothing was ever registered about this subject: make sure that it is the right one.": "该登记对象从未有过任何登记：请核对代码是否正确。",
        "What the records say is not in it: nothing that is printed or said about them can be checked with it.": (
            "其中不含记录内容：纸面或口头所称的内容无法据此核对。"
        ),
        "GENUINE, BUT OLDER THAN WAS ASKED FOR.": "真实，但出具时间早于所要求的时限。",
        "All {n} have the same chain.": "{n} 个节点均为同一条链。",
        "Anchor kept in {file}.": "锚点已保存到 {file}。",
        # audit
        "Reading": "读取",
        "Read by": "读取部门",
        "Whose": "数据部门",
        "Case": "案号",
        "Purpose and legal basis": "用途与法律依据",
        "Status": "状态",
        "Nobody asked for anything there.": "无任何读取请求。",
        "Complete: no accepted read is missing, as of block {height}. Accepted reads: {n}.": (
            "清单完整：截至区块 {height}，获准的读取无一遗漏，共 {n} 次。"
        ),
        "What the list was compared with is the node's word.": "用于比对的数目与摘要为节点所称。",
        "Each read is proved, and so is that no accepted one is missing; whether a refused one is missing is not.": (
            "每条读取均已证明，获准的无一遗漏亦已证明；被拒绝的是否有遗漏未经证明。"
        ),
        "Each read is proved; whether one is missing is not.": "每条读取均已证明；清单是否有遗漏未经证明。",
        "Kept in {directory}, for `huzheng audit verify`.": "已保存到 {directory}，可用 `huzheng audit verify` 验证。",
        "read, {time}": "已读取，{time}",
        "requested": "已请求",
        "refused: {code}": "被拒绝：{code}",
        "Nothing to look at, as of block {height}, {time}.": "截至区块 {height}（{time}）无须关注的事项。",
        "What": "事项",
        "Details": "详情",
        "newest record {time}": "最新记录 {time}",
        "published {time}": "发布于 {time}，尚无记录",
        "days between updates: {days}; {newest}": "更新周期（天）：{days}；{newest}",
        "update overdue": "更新逾期",
        "{n} in 24 hours, usual are up to {usual}": "24 小时内 {n} 次，通常不超过 {usual} 次",
        "unusual number of reads": "读取量异常",
        "{n} in 24 hours": "24 小时内 {n} 次",
        "refused reads": "读取被拒绝",
        "read not acknowledged": "读取未确认",
        "ordered by {owner}, {time}": "由{owner}下令，{time}",
        "erasure not acknowledged": "销毁未确认",
        # reliance
        "The record is in force.": "该记录有效。",
        "The record is NOT IN FORCE any more: what relies on it has to be looked at.": "该记录已不再有效：须复核以其为依据的记录。",
        "No record relies on it.": "没有记录以其为依据。",
        "replaced by": "已被更正：",
        "revoked by": "已被撤销：",
        "relied on by {department}": "依据部门：{department}",
        "Stopped. --from-height {h} goes on from here.": "已停止。使用 --from-height {h} 可由此继续。",
    }
)
