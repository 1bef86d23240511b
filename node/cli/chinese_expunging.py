"""Chinese texts of `huzheng record expunge`, and of what is told of contents that are not there any more."""

from __future__ import annotations

CHINESE_EXPUNGING: dict[str, str] = {
    # record expunge
    "Have the contents of a record removed from all nodes for good, signed with the profile's admin key.": (
        "责令所有节点永久移除一条记录的内容，以配置中的管理密钥签名。"
    ),
    (
        "For what should never have been on the chain. The record itself, its hashes and all proofs stay: they show that there was something, not what."
    ): "用于本不应上链的内容。记录本身、哈希和所有证明保留：可证明曾有内容，但不显示是何内容。",
    "64 hexadecimal digits, of a record of your department.": "本部门一条记录的标识，64 位十六进制数字。",
    "On what ground. It stays on the chain for good: no personal data in it.": (
        "移除的依据。依据永久保留在链上，不得含有个人信息。"
    ),
    "The transaction that the record is in, if it was refused or the record is in several.": (
        "记录所在的交易；交易被拒绝或记录见于多个交易时须指明。"
    ),
    "Do not ask for confirmation.": "不再要求确认。",
    # Contents that were removed
    "Contents": "内容",
    "Position": "位置",
    "{n} bytes": "{n} 字节",
    "removed or not shown": "已移除或未出示",
    "removed at height {height}, {time}, on the ground of: {basis}": "已于高度 {height}（{time}）移除，依据：{basis}",
    "Version {n}: contents {how}": "第 {n} 版：内容{how}",
    "Record {n}: its contents were removed or are not shown.": "记录 {n}：内容已移除或未出示。",
    "That the record was there is proved; its contents were removed or are not shown.": (
        "记录确实存在，已得到证明；其内容已被移除或未出示。"
    ),
    "The contents of some records were removed or are not shown; that the records are in force is proved.": (
        "部分记录的内容已被移除或未出示；记录现行有效，已得到证明。"
    ),
    "orders that the contents of record {n} of transaction {id} be removed, on the ground of: {basis}": (
        "责令移除交易 {id} 中记录 {n} 的内容，依据：{basis}"
    ),
    "Ordered. Every node removes the contents with this block, or as soon as it gets it.": (
        "已责令移除。各节点随该区块移除内容；尚未取得该区块的节点取得后即行移除。"
    ),
    "All nodes will remove these contents, and nobody can bring them back. Hashes and proofs stay.": (
        "所有节点将移除上述内容，且任何人都无法恢复。哈希和证明保留。"
    ),
    "Remove them?": "确认移除？",
    "Nothing was done.": "未作任何操作。",
}
