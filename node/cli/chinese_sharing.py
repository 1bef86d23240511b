"""Chinese texts of `huzheng grant`, `read`, of disclosures and of erasures."""

from __future__ import annotations

CHINESE_SHARING: dict[str, str] = {
    # grant
    "Grants: apply for confidential fields, decide on applications, end what was granted.": "授权：申请保密字段、审批申请、终止授权。",
    "A confidential field, by name or number; may be repeated.": "保密字段的名称或编号；可多次给出。",
    "A grant's id.": "授权编号。",
    "Applicant": "申请部门",
    "Owner": "归口部门",
    "Applied for at": "申请时间",
    "Decided at": "审批时间",
    "Ended at": "终止时间",
    "Each grant is proved; whether one is missing is not.": "每项授权均已证明；清单是否有遗漏未经证明。",
    "Proved, as of block {height}.": "已证明，截至区块 {height}。",
    "Each is proved; whether one is missing is not.": "逐项证明；清单是否有遗漏未经证明。",
    "Applied for.": "已申请。",
    "Granted.": "已授权。",
    "Refused.": "已拒绝。",
    "Ended.": "已终止。",
    "Apply for confidential fields of another department's resource, signed with the profile's admin key.": (
        "申请其他部门资源的保密字段，用配置中的管理密钥签名。"
    ),
    "Where the resource is shared unconditionally, the grant is there at once.": "无条件共享的资源，申请后立即获得授权。",
    "By which law they may be asked for.": "申请的法律依据。",
    "What the fields are needed for.": "字段的用途。",
    "Such as property.owner.": "例如 property.owner。",
    "How many reads at most.": "最多读取次数。",
    "How many reads at most; 0: as applied for.": "最多读取次数；0 表示按申请。",
    "Only about this subject; may be repeated. Without: about any.": "仅限该登记对象；可多次给出。省略则不限。",
    "Only for this case number. Without: for any.": "仅限该案件编号。省略则不限。",
    "When it is to expire: a date, or days such as 90d.": "到期时间：日期，或天数如 90d。",
    "When it is to expire instead.": "改为此到期时间。",
    "Grant what was applied for, or less of it, signed with the profile's admin key.": (
        "按申请授权，或缩小范围授权，用配置中的管理密钥签名。"
    ),
    "Refuse what was applied for, signed with the profile's admin key.": "拒绝申请，用配置中的管理密钥签名。",
    "End a grant or withdraw an application, as applicant or owner, signed with the profile's admin key.": (
        "由申请部门或归口部门终止授权或撤回申请，用配置中的管理密钥签名。"
    ),
    "Reads that were ordered before are still answered.": "此前已上链的读取仍会得到答复。",
    "Why, for all to read. No personal data.": "理由，所有部门可见。不得含个人信息。",
    "List grants, oldest application first: what is asked for, what is granted, what is left of it.": (
        "列出授权（按申请先后）：申请内容、授权内容、剩余次数。"
    ),
    "Whose; otherwise those of the profile's department.": "哪个部门的；省略则为配置中的部门。",
    "Those for the department's own data, instead of those it applied for.": "列出对本部门数据的授权，而非本部门申请的授权。",
    "Show a grant, proved: who, what, on which grounds, and where it stands.": "显示一项已证明的授权：部门、内容、依据和状态。",
    "Grant": "授权",
    "Purpose": "用途",
    "Reason": "理由",
    "Reads": "读取次数",
    "Subjects": "登记对象",
    "any": "不限",
    "applied for": "已申请",
    "granted": "已授权",
    "refused": "已拒绝",
    "ended": "已终止",
    # read
    "Read confidential fields of another department under a grant; each read is on the chain first.": (
        "凭授权读取其他部门的保密字段；每次读取先上链。"
    ),
    "Read fields about a subject: ordered on chain, then given out by the owner, checked, acknowledged.": (
        "读取某登记对象的字段：先上链，再由归口部门提供，核对后确认。"
    ),
    "Signed with the profile's key for records. If it is cut off at any point, `huzheng read resume` goes on with it.": (
        "用配置中的记录密钥签名。中途中断时，可用 `huzheng read resume` 继续。"
    ),
    "Go on with a read that was begun: it is ordered if it was not, and its answer fetched again.": (
        "继续已开始的读取：未上链则上链，并重新取得答复。"
    ),
    "Give up a read that was begun and can't be finished, as one that a node refused or whose time is over.": (
        "放弃已开始而无法完成的读取，例如被节点拒绝或已超过时限的读取。"
    ),
    "Its key is destroyed: no answer to it can be opened any more. What is on the chain of it stays.": (
        "其密钥将被销毁：此后无法再打开对它的答复。链上内容保留不变。"
    ),
    "Forgotten: no answer to this read can be opened any more.": "已放弃：对该读取的答复无法再打开。",
    "List the reads that were begun and not finished.": "列出已开始而未完成的读取。",
    "A read's id, as `huzheng read pending` lists it.": "读取编号，见 `huzheng read pending`。",
    "The case that the values are needed for.": "所办案件的编号。",
    "Keep the values in your own department's vault, where an erasure finds them.": "将取得的值存入本部门保险库，以便删除令能够执行。",
    "Write the disclosure there: proof of the values, as `huzheng verify` reads it.": (
        "将披露文件写到此处：可用 `huzheng verify` 核验的证明。"
    ),
    "Stopped. `huzheng read resume` goes on with what was begun.": "已停止。可用 `huzheng read resume` 继续。",
    "Read, checked and acknowledged.": "已读取、核对并确认。",
    "Read": "读取",
    # vault disclose
    "Show confidential fields of a record of your own department, with proof that the record commits to them.": (
        "出示本部门一条记录的保密字段，并证明与记录的承诺一致。"
    ),
    (
        "The values come from the vault of your department's node, for its systems and clerks alone. The proof says nothing of "
        "other fields, and needs the genesis file and nothing else (`huzheng verify`)."
    ): "值取自本部门节点的保密库，仅供本部门的系统和窗口人员使用。证明不涉及其他字段，只需创世文件即可核验（`huzheng verify`）。",
    "Keep the disclosure in this file; - is standard output.": "将披露文件存入该文件；- 表示标准输出。",
    "Disclosure kept in {file}, {n} bytes.": "披露文件已存入 {file}，共 {n} 字节。",
    # vault erase
    "Order that the confidential values of a record, or of all versions about a subject, be destroyed for good.": (
        "下令永久销毁一条记录或某登记对象全部版本的保密字段。"
    ),
    (
        "Your department's node and those of all departments that read them destroy the values and every key to them, "
        "and say so on chain. The chain goes on to verify. Signed with the profile's admin key."
    ): "本部门及所有读取过的部门的节点将销毁这些值及其全部密钥，并在链上确认。链仍可验证。用配置中的管理密钥签名。",
    "By which law, for all to read. No personal data.": "法律依据，所有部门可见。不得含个人信息。",
    "Do not ask.": "不再询问。",
    "Destroy the confidential values of {n} records, for good?": "永久销毁 {n} 条记录的保密字段？",
    "Ordered. `huzheng vault erasures` shows who has carried it out.": "已下令。执行情况见 `huzheng vault erasures`。",
    "Only what this department has ordered.": "仅列出该部门下达的删除令。",
    "List what was ordered to be erased, and which departments have said that they have done so.": (
        "列出删除令，以及已确认执行的部门。"
    ),
    "Erased by": "已删除的部门",
    "Still owed by": "尚未确认的部门",
    # entries of the state in statements
    "Grant {id}": "授权 {id}",
    "Read {id}": "读取 {id}",
    "Reads of {subject} in {resource}": "{resource} 中 {subject} 的读取",
    "Erasure of {id}, {department}": "删除 {id} 的保密字段，{department}",
    "Payload {n} of {id}, {department}": "{id} 的第 {n} 项载荷，{department}",
    "Resource {name}": "资源 {name}",
    "Resource {name}, schema version {n}": "资源 {name}，结构版本 {n}",
    "Duty {code}, {department}": "职责 {code}，{department}",
    "Entry of the state": "状态条目",
    "proved: there is none": "已证明：不存在",
    "Key": "键",
    "Applied for by": "申请部门",
    "Confidential fields": "保密字段",
    "Case number": "案件编号",
    "{n} of {most}": "{n}（最多 {most}）",
    "Ended": "终止",
    "applied for, not decided": "已申请，未审批",
    "active": "有效",
    "Reader": "读取部门",
    "not acknowledged: only asked for": "未确认：仅有读取请求",
    "Arrived": "送达",
    "Digest over their ids": "读取标识摘要",
    "Erased": "已删除",
    "nobody has said so yet": "尚无部门确认",
    "Ordered at": "下令时间",
    "Newest schema version": "最新结构版本",
    "Open schema versions": "开放的结构版本",
    "none: withdrawn": "无：已撤销",
    "Public fields": "公开字段",
    "NO LONGER SO at {time}, block {height}: {n} entries of the state have changed since.": "已有变更（{time}，区块 {height}）：此后有 {n} 项状态条目已变。",
}
