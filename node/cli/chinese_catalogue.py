"""The Chinese of the catalogue's commands, help included, by its English."""

from __future__ import annotations

CHINESE_CATALOGUE: dict[str, str] = {
    # Words
    "Column": "字段列",
    "Columns": "列数",
    "Confidential": "保密字段",
    "Cycle": "更新周期",
    "Different": "差异",
    "Duties": "职责",
    "Duty": "职责",
    "Legal basis": "法律依据",
    "Name": "名称",
    "Public": "公开字段",
    "Resources": "数据资源",
    "Schema version": "结构版本",
    "Seen by": "可见范围",
    "Sharing": "共享属性",
    "System": "信息系统",
    "Table": "数据表",
    "Tables": "数据表",
    "Update cycle": "更新周期",
    "Versions": "可用版本",
    "What": "变更",
    "changed": "变更",
    "conditional": "有条件共享",
    "confidential": "保密",
    "in force": "有效",
    "new": "新增",
    "none stated": "未说明",
    "not shared": "不予共享",
    "open": "可用",
    "public": "公开",
    "unconditional": "无条件共享",
    "withdrawn": "已撤下",
    # What is said
    "Nothing to do: all is on chain as the file says.": "无需操作：链上内容与文件一致。",
    "Nothing was published.": "未发布任何内容。",
    "Publish this?": "是否发布以上内容？",
    "Published.": "已发布。",
    "Publishing": "正在发布",
    "Withdrawn.": "已撤下。",
    "{file}: {d} duties, {r} resources, {n} tables.": "{file}：职责 {d} 项，数据资源 {r} 项，数据表 {n} 张。",
    "{n} duties and resources of other departments are left out.": "其他部门的 {n} 项职责和数据资源未处理。",
    "publishes the duty {code}": "发布职责 {code}",
    "publishes the table {name} of {resource}": "发布 {resource} 的数据表 {name}",
    "publishes {name}, schema version {n}": "发布 {name}，结构版本 {n}",
    "withdraws the duty {code}": "撤下职责 {code}",
    "withdraws the table {name} of {resource}": "撤下 {resource} 的数据表 {name}",
    "withdraws {name}": "撤下 {name}",
    "withdraws {name}, schema version {n}": "撤下 {name} 的结构版本 {n}",
    # Help
    "The catalogue: duties, resources with their fields, and tables; publish and withdraw your department's own.": (
        "目录：职责、数据资源及其字段、数据表；发布和撤下本部门的内容。"
    ),
    "List duties, resources and tables.": "列出职责、数据资源和数据表。",
    "Only what is this department's.": "只列该部门的内容。",
    "Show a resource: its fields, versions, duty and tables.": "显示一项数据资源：字段、版本、职责和数据表。",
    "Write the catalogue as YAML, which `huzheng catalogue publish` reads: the newest versions, without what is withdrawn.": (
        "将目录写成 YAML，可供 `huzheng catalogue publish` 读取：各资源的最新版本，不含已撤下的内容。"
    ),
    "The new YAML file; - is standard output.": "新的 YAML 文件；- 表示标准输出。",
    "Publish the duties, resources and tables of a file that are your department's, signed with the profile's admin key.": (
        "发布文件中属于本部门的职责、数据资源和数据表，用配置中的管理密钥签名。"
    ),
    "Shows what is not on chain as the file says, and asks. What the file does not name stays as it is.": (
        "先显示链上与文件不一致之处并询问。文件未提及的内容保持不变。"
    ),
    "A catalogue file, in YAML (.yaml, .yml) or TOML; see docs/cli.md.": "目录文件，YAML（.yaml、.yml）或 TOML 格式；见 docs/cli.md。",
    "Do not ask.": "不询问。",
    "Withdraw a duty, a resource or a table of your department, signed with the profile's admin key.": (
        "撤下本部门的职责、数据资源或数据表，用配置中的管理密钥签名。"
    ),
    "Withdraw a duty: no resource can name it any more; those that do stay.": "撤下职责：此后不能再被引用；已引用者保持不变。",
    "Withdraw a resource, or a schema version of one: no record can cite it any more; those that do stay.": (
        "撤下数据资源或其某个结构版本：此后记录不能再引用；已引用者保持不变。"
    ),
    "Withdraw what was said of a table.": "撤下数据表的说明。",
    "Only this version; 0 is all that are open.": "只撤下该版本；0 表示全部可用版本。",
    "The duty's code.": "职责编码。",
    "The information system.": "信息系统名称。",
    "The table's name.": "数据表名称。",
}
