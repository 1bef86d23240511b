"""What the codes of sharing say to people: catalogue, grants, reads, erasures."""

from __future__ import annotations

from ledger.errors.codes import Code, Text

SHARING_TEXTS: dict[Code, Text] = {
    Code.BAD_OPERATION: Text(
        "The operation is not of the form that the rules ask for.",
        "操作的形式不符合规则要求。",
        "Build it anew with the command line or the client library of this version.",
        "请用本版本的命令行或客户端库重新生成。",
    ),
    Code.BAD_COMMITMENT: Text(
        "The record does not commit to confidential fields as its schema version asks.",
        "记录对保密字段的承诺不符合其结构版本的要求。",
        "Build the record again with the schema version that it cites.",
        "请按其引用的结构版本重新生成记录。",
    ),
    Code.RELIED_NOT_CURRENT: Text(
        "A record that this one relies on is not the one in force.",
        "本记录所依据的记录不是现势记录。",
        "Read the record in force, look at what changed, and decide again.",
        "请读取现势记录，核对变化后重新作出决定。",
    ),
    Code.UNKNOWN_DUTY: Text(
        "The department has no such duty in the catalogue.",
        "目录中没有该部门的这项职责。",
        "Publish the duty first; `huzheng catalogue list` shows those that are there.",
        "请先发布该职责；`huzheng catalogue list` 可查看已有职责。",
    ),
    Code.NOT_PUBLISHED: Text(
        "There is nothing like it, or it has been withdrawn.",
        "没有此项，或已撤回。",
        "Look what is there with `huzheng catalogue list` or `huzheng vault erasures`.",
        "请用 `huzheng catalogue list` 或 `huzheng vault erasures` 查看现有内容。",
    ),
    Code.BAD_AMENDMENT: Text(
        "This can't be the resource's next schema version.",
        "这不能作为该资源的下一个结构版本。",
        "Count the schema version up by one, leave the subject as it is, and give new fields new numbers.",
        "请将结构版本号加一，保持登记对象不变，并为新字段使用新编号。",
    ),
    Code.UNKNOWN_GRANT: Text(
        "There is no such grant.",
        "没有该授权。",
        "Check the grant's id with `huzheng grant list`.",
        "请用 `huzheng grant list` 核对授权编号。",
    ),
    Code.NOT_PARTY: Text(
        "This is between other departments.",
        "此事属于其他部门之间。",
        "Applicants read and acknowledge, owners decide; see whose it is with `huzheng grant list`.",
        "申请部门读取并确认，归口部门审批；请用 `huzheng grant list` 查看所属部门。",
    ),
    Code.WRONG_GRANT_STATE: Text(
        "The grant is not in a state that allows this.",
        "授权的状态不允许此操作。",
        "See where it stands with `huzheng grant list`; apply anew if it was refused or has ended.",
        "请用 `huzheng grant list` 查看状态；若已拒绝或终止，请重新申请。",
    ),
    Code.TOO_WIDE: Text(
        "More would be granted than was applied for.",
        "授权范围超出申请范围。",
        "Grant what was applied for, or less.",
        "请在申请范围之内授权。",
    ),
    Code.NOT_SHARED: Text(
        "The resource is not shared with this department.",
        "该资源不向本部门共享。",
        "A resource of class 'none' is for its department alone; one's own needs no grant.",
        "不予共享的资源仅供归口部门使用；本部门资源无需授权。",
    ),
    Code.GRANT_EXPIRED: Text(
        "The grant's term is over.",
        "授权已到期。",
        "Apply for a new grant.",
        "请重新申请授权。",
    ),
    Code.GRANT_USED_UP: Text(
        "The grant allows no more reads.",
        "授权的读取次数已用完。",
        "Apply for a new grant.",
        "请重新申请授权。",
    ),
    Code.OUTSIDE_GRANT: Text(
        "The read asks for more than the grant allows.",
        "读取超出授权范围。",
        "Compare fields, subject and case number with `huzheng grant show`.",
        "请用 `huzheng grant show` 核对字段、登记对象和案件编号。",
    ),
    Code.NOTHING_TO_READ: Text(
        "No record is in force about this subject.",
        "该登记对象没有现势记录。",
        "Check the subject; nothing was counted against the grant.",
        "请核对登记对象；本次未计入授权次数。",
    ),
    Code.ERASED: Text(
        "The confidential values of this record were erased.",
        "该记录的保密字段已被删除。",
        "They can't be had any more; the public fields and the proofs are still there.",
        "保密字段已无法恢复；公开字段和证明仍然有效。",
    ),
    Code.UNKNOWN_READ: Text(
        "There is no such read.",
        "没有该次读取。",
        "Check the read's id with `huzheng audit reads`.",
        "请用 `huzheng audit reads` 核对读取编号。",
    ),
    Code.BAD_ANSWER: Text(
        "The answer is not to the read that was asked.",
        "答复与所请求的读取不符。",
        "Keep the answer, and report the department's node to its operators; ask again.",
        "请保留该答复，向归口部门的运维人员报告该节点，并重新请求。",
    ),
    Code.RELEASE_OVER: Text(
        "The time in which a read is answered is over.",
        "该次读取的答复时限已过。",
        "Read again: it counts as a read of its own.",
        "请重新读取；将计为另一次读取。",
    ),
    Code.VALUES_MISSING: Text(
        "This node does not have the confidential values of the record.",
        "本节点没有该记录的保密字段。",
        "Ask another node of the department; its operators should restore the vault from its backup.",
        "请改用该部门的其他节点；其运维人员应从备份恢复保险库。",
    ),
    Code.VAULT_NOT_CONFIGURED: Text(
        "This node has no vault.",
        "本节点未配置保险库。",
        "Add a [vault] section to node.toml and make the vault with `huzheng vault create`, or ask another node.",
        "请在 node.toml 中加入 [vault] 一节并用 `huzheng vault create` 建立保险库，或改用其他节点。",
    ),
    Code.ALREADY_DONE: Text(
        "This has been ordered or acknowledged before.",
        "此事已下令或已确认过。",
        "Nothing is left to do.",
        "无需再次操作。",
    ),
}
