"""The Chinese of `huzheng backup`, `restore` and `vault`, help and what they print, by its English."""

from __future__ import annotations

CHINESE_BACKUP: dict[str, str] = {
    # Help: backup and restore
    "Back up the department's node: configuration, chain, and the vault's ciphertexts.": (
        "备份本部门节点：配置、链数据以及保险库的密文。"
    ),
    (
        "The running node does it, told by the profile of an operator; with --home a node that is stopped is read. A backup "
        "holds no key file, no keyring and no votes: keep those as docs/operations.md says."
    ): (
        "由运行中的节点执行，须使用运维人员的用户配置；指定 --home 时读取已停止的节点。"
        "备份中不含密钥文件、密钥环和投票记录：请按 docs/operations.md 另行保管。"
    ),
    "A new or empty directory on the node's machine.": "节点所在机器上的新目录或空目录。",
    "Make a node again from a backup, on a machine that has lost it.": "在丢失节点的机器上，由备份重建节点。",
    (
        "It gets a fresh consensus key: until the departments have entered that, it follows without a vote. Confidential values "
        "are given out again once it has caught up and has erased whatever was ordered to be erased since."
    ): (
        "节点获得新的共识密钥：在各部门将其登记之前，节点只跟随而不投票。"
        "待其追上链并重新执行此后下达的全部删除后，才重新提供涉密值。"
    ),
    "The directory that `huzheng backup` wrote.": "`huzheng backup` 写出的目录。",
    "The node's new directory: new, or with its key files and keyring only.": (
        "节点的新目录：尚不存在，或其中只有密钥文件和密钥环。"
    ),
    "The newest keyring, where it is not in its place already.": "最新的密钥环（若尚未放在其位置）。",
    "Give up all confidential values: the keyring is lost.": "放弃全部涉密值：密钥环已丢失。",
    "Take a keyring that is older than the backup; there is no newer one.": "使用早于备份的密钥环；没有更新的密钥环。",
    # Help: vault
    "Look after the vault, where a department's confidential values are.": "管理保险库，其中存放本部门的涉密值。",
    "Make a master key: a file of 32 random bytes that opens keyrings sealed with it.": (
        "生成主密钥：32个随机字节的文件，可打开用它封装的密钥环。"
    ),
    "The new key file.": "新的密钥文件。",
    "Make the empty vault that [vault] of a node.toml names, for a node that has none yet.": (
        "为尚无保险库的节点创建 node.toml 的 [vault] 所指定的空保险库。"
    ),
    "Show where a stopped node's vault stands: keyring, second copy, how much is in it.": (
        "显示已停止节点的保险库状态：密钥环、第二份副本、内容多少。"
    ),
    "Needs no master key. Exit status 9 if it would not open as it is.": (
        "不需要主密钥。若按现状无法打开，退出状态为9。"
    ),
    "Decrypt everything in a stopped node's vault, and name what is damaged.": (
        "解密已停止节点的保险库中的全部内容，并指出损坏之处。"
    ),
    "Exit status 9 if something is.": "如有损坏，退出状态为9。",
    "Seal a stopped node's keyring under another master key. No value is encrypted anew.": (
        "用另一主密钥封装已停止节点的密钥环。不会重新加密任何值。"
    ),
    (
        "Then put the new file in the place of the old one, and destroy the old key if that is why it was changed: it still "
        "opens old keyrings."
    ): "然后用新文件替换旧文件；如因泄露而更换，请销毁旧密钥：它仍可打开旧的密钥环。",
    "A copy of the node.toml beside it, with the new master key in [vault].": (
        "与 node.toml 同目录的一份副本，其 [vault] 中指定新的主密钥。"
    ),
    "Erase again in a stopped node's vault whatever the stored chain ordered to be erased, so that it opens after a restore.": (
        "在已停止节点的保险库中，重新执行所存链上的全部删除，使其在恢复后可以打开。"
    ),
    "A running node does it by itself. What only a newer backup has can't be read afterwards.": (
        "运行中的节点会自动执行。此后，只存在于更新备份中的内容将无法读取。"
    ),
    "Put a backup's vault in the place of a stopped node's that is lost, where the node itself is well.": (
        "节点本身完好而保险库丢失时，用备份恢复已停止节点的保险库。"
    ),
    "The node reopens it at its next start, once it has erased whatever was ordered to be erased since.": (
        "节点下次启动时，在重新执行此后下达的全部删除之后重新打开它。"
    ),
    "Lose damaged entries for good instead of stopping at them.": "永久放弃已损坏的条目，而不是就此停止。",
    # Printed: backup and restore
    "Backing up": "正在备份",
    "Copying the chain": "正在复制链数据",
    "Copying the vault": "正在复制保险库",
    "Reading it back": "正在读回核对",
    "Backed up to {directory}.": "已备份到 {directory}。",
    "No key file and no keyring is in it: keep them elsewhere.": "其中不含密钥文件和密钥环：请另行保管。",
    "In the vault": "保险库中",
    "Size": "大小",
    "none": "无",
    "{n} files, {m:.1f} MB": "{n} 个文件，{m:.1f} MB",
    "{r} records, {p} persons": "{r} 条记录，{p} 个人员",
    "Restored to {directory}.": "已恢复到 {directory}。",
    "Missing, put it back before the start: {file}": "缺少，请在启动前放回：{file}",
    "The vault was not restored: all confidential values are lost.": "保险库未恢复：全部涉密值已丢失。",
    "Start the node; it follows without a vote. Then let the departments enter its fresh key:": (
        "请启动节点；它只跟随而不投票。然后请各部门登记其新密钥："
    ),
    # Printed: vault
    "Master key written to {file}. Keep a copy in a safe.": "主密钥已写入 {file}。请在保险柜中保存一份副本。",
    "Vault made in {directory}.": "保险库已创建于 {directory}。",
    "Its keyring has no second copy: if it is lost, so are all values. Set vault.escrow.": (
        "其密钥环没有第二份副本：一旦丢失，全部值随之丢失。请设置 vault.escrow。"
    ),
    "Whole: {counts}.": "完好：{counts}。",
    "Damaged: {name}": "已损坏：{name}",
    "The keyring is sealed under the new master key.": "密钥环已用新的主密钥封装。",
    "Now put {new} in the place of {old}.": "现在请用 {new} 替换 {old}。",
    "{kept} entries stay, {erased} are erased, by the chain up to height {height}.": (
        "依据截至高度 {height} 的链：保留 {kept} 个条目，删除 {erased} 个。"
    ),
    "{n} damaged entries were given up.": "已放弃 {n} 个损坏的条目。",
    "Restored, as of {time}: {counts}.": "已恢复至 {time}：{counts}。",
    "Vault": "保险库",
    "Keyring": "密钥环",
    "Second copy": "第二份副本",
    "Sealed with": "封装方式",
    "generation {n}": "第 {n} 代",
    "a key file": "密钥文件",
    "a passphrase": "口令",
    "a PKCS#11 token": "PKCS#11 令牌",
    "An erasure was begun; it is finished at the next start.": "有一次删除尚未完成；下次启动时将继续完成。",
}
