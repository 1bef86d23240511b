"""What is said of calls, the command line, and a node with its keys and configuration."""

from __future__ import annotations

from ledger.errors.codes import Code, Text

NODE_TEXTS: dict[Code, Text] = {
    # Calls and command line
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
    Code.NODE_BEHIND: Text(
        "The node has not got to a block that was already seen: what it says may be out of date.",
        "该节点尚未到达此前已见过的区块，其应答可能已过时。",
        "Ask another node, or try again in a moment; if it stays so, tell the node's operator.",
        "请改向其他节点查询或稍后重试；若持续如此，请通知该节点的运维人员。",
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
    Code.EXTRA_MISSING: Text(
        "A library or font that certificates and pictures need is not installed.",
        "未安装制作或识读证书所需的程序库或字体。",
        "Install it: pip install 'huzheng[certificates]'. A font can also be named with --font, or be Debian's fonts-noto-cjk.",
        "请安装：pip install 'huzheng[certificates]'。字体亦可用 --font 指定，或安装 Debian 的 fonts-noto-cjk。",
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
    # Node: keys, certificates, configuration
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
    Code.CALLER_NOT_ALLOWED: Text(
        "A certificate in this role may not do this.",
        "该角色的证书无权执行此操作。",
        "Use a certificate in a role that may, as the detail says.",
        "请按提示使用有权角色的证书。",
    ),
    Code.CALLER_EXPIRED: Text(
        "The caller's certificate expired while the connection was open.",
        "连接期间调用方证书已过期。",
        "Have the department's CA issue a new one with `huzheng network certificate`, and connect again.",
        "请由部门CA用 `huzheng network certificate` 重新签发后重新连接。",
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
    # Node: service
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
