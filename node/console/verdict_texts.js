// Verdicts in a few sentences, in English and Chinese.

import { registerOf } from "./registers.js";
import { readEntry } from "./state_entries.js";
import { TEXTS } from "./texts.js";
import { isoTime } from "./verdict_values.js";

const REGISTER = "w".charCodeAt(0);
const REGISTER_NAME = /^[a-z][a-z0-9_]{0,63}$/;
// A byte order mark is text as any other.
const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * What a verdict says to people; `language` is "en" or "zh". Names and titles are those of the genesis, or of what is proved besides. Lines are separated
 * by line feeds.
 */
export function describe(verdict, genesis, language = "en") {
  const words = { language, genesis, ...WORDS[language] };
  return LINES[verdict.kind](verdict, words).join("\n");
}

const WORDS = {
  en: {
    blockAt: ({ height, time }) => `block ${height} of ${shortTime(time)}`,
    about: (title, subject) => `${title}, ${subject}`,
    accepted: (place) => `Valid: accepted by the network in ${place}.`,
    refused: (place, reason) => `Valid, but of a refusal: the network refused this in ${place}. ${reason}`,
    inconclusive: "The same transaction may have been accepted in another block.",
    submitted: (department) => `Submitted in the name of ${department}.`,
    recorded: (about, version) => `${about}: version ${version}.`,
    withdrawn: (about, version) => `${about}: version ${version}, which revokes the one before.`,
    notShown: "What the record says was removed or is not shown; that the record is there is proved.",
    newerUnknown: "Whether there is a newer version, a receipt does not show.",
    shown: (field, value) => `${field}: ${value}`,
    noValue: "no value",
    noFields: "It shows no confidential field.",
    asOf: (place) => `Valid: so it was after ${place}.`,
    noAnswer: "It shows nothing.",
    inForce: (about, version) => `${about}: in force, version ${version}.`,
    revoked: (about, version) => `${about}: revoked, with version ${version}.`,
    never: (about) => `${about}: there has never been a record.`,
    grant: (id, status, applicant, about) => `Grant ${id}: ${status}; ${applicant} for ${about}.`,
    grantStatus: ["?", "applied for", "active", "refused", "ended"],
    fields: (title, numbers) => `${title}, confidential fields ${numbers.map((number) => `#${number}`).join(", ")}`,
    terms: (count, most, expires, purpose) => `${count} of ${most} reads, until ${expires}; purpose: ${purpose}`,
    noGrant: (id) => `Grant ${id}: there is none.`,
    read: (id, reader, about, time) => `Read ${id}: ${reader}, ${about}, at ${time}.`,
    arrived: (time) => `The answer arrived, as the reader said at ${time}.`,
    askedFor: "That the answer arrived, the reader has not said: it shows only what was asked for.",
    noRead: (id) => `Read ${id}: there was none.`,
    reads: (about, count) => `${about}: ${count} reads of confidential fields.`,
    erasure: (record, department, time) => `Erasure of record ${record}: ordered by ${department} at ${time}.`,
    erased: (department, time) => `Erased by ${department}, as it said at ${time}.`,
    noErasure: (record, department) => `Erasure of record ${record}: ${department} has ordered none.`,
    whole: (register, count) => `These are all ${count} resources of the register ${register}.`,
    part: (register, count, silent) => `The register ${register} has ${count} resources; of ${silent} of them this says nothing.`,
    entry: (key, value) => `Entry ${key}: ${value}.`,
    noEntry: (key) => `Entry ${key}: there is none.`,
    history: (older, newer) => `Valid: ${older} is in the history of ${newer}.`,
    fork: (first, second) => `The network was broken: ${first} and ${second} were both sealed, and they differ.`,
  },
  zh: {
    blockAt: ({ height, time }) => `区块 ${height}（${shortTime(time)}）`,
    about: (title, subject) => `${title}，${subject}`,
    accepted: (place) => `有效：已由网络在${place}接受。`,
    refused: (place, reason) => `有效，但证明的是拒绝：网络在${place}拒绝了该交易。${reason}`,
    inconclusive: "同一交易可能已在其他区块中被接受。",
    submitted: (department) => `以${department}的名义提交。`,
    recorded: (about, version) => `${about}：第 ${version} 版。`,
    withdrawn: (about, version) => `${about}：第 ${version} 版，撤销前一版。`,
    notShown: "记录内容已被移除或未出示；记录确实存在，已得到证明。",
    newerUnknown: "收据不说明此后是否另有更新的版本。",
    shown: (field, value) => `${field}：${value}`,
    noValue: "无",
    noFields: "其中未出示任何保密字段。",
    asOf: (place) => `有效：以下为${place}之后的情况。`,
    noAnswer: "该证明未出示任何内容。",
    inForce: (about, version) => `${about}：有效，第 ${version} 版。`,
    revoked: (about, version) => `${about}：已撤销（第 ${version} 版）。`,
    never: (about) => `${about}：从未有过记录。`,
    grant: (id, status, applicant, about) => `授权 ${id}：${status}；申请部门${applicant}，${about}。`,
    grantStatus: ["?", "已申请", "有效", "已拒绝", "已终止"],
    fields: (title, numbers) => `${title}，保密字段 ${numbers.map((number) => `#${number}`).join("、")}`,
    terms: (count, most, expires, purpose) => `已读取 ${count} 次，最多 ${most} 次，有效期至 ${expires}；用途：${purpose}`,
    noGrant: (id) => `授权 ${id}：不存在。`,
    read: (id, reader, about, time) => `读取 ${id}：${reader}，${about}，${time}。`,
    arrived: (time) => `读取部门已于 ${time} 确认收到。`,
    askedFor: "读取部门尚未确认收到：仅证明提出过读取请求。",
    noRead: (id) => `读取 ${id}：不存在。`,
    reads: (about, count) => `${about}：保密字段被读取 ${count} 次。`,
    erasure: (record, department, time) => `记录 ${record} 的保密字段：${department}已于 ${time} 下令删除。`,
    erased: (department, time) => `${department}已于 ${time} 确认删除。`,
    noErasure: (record, department) => `记录 ${record} 的保密字段：${department}未下令删除。`,
    whole: (register, count) => `${register} 登记簿的全部 ${count} 项资源均在其中。`,
    part: (register, count, silent) => `${register} 登记簿有 ${count} 项资源；其中 ${silent} 项本证明未涉及。`,
    entry: (key, value) => `条目 ${key}：${value}。`,
    noEntry: (key) => `条目 ${key}：不存在。`,
    history: (older, newer) => `有效：${older}属于${newer}的历史。`,
    fork: (first, second) => `网络曾被破坏：${first}与${second}均已签章，但内容不同。`,
  },
};

const LINES = {
  receipt(verdict, words) {
    const place = words.blockAt(verdict);
    const reason = verdict.accepted ? "" : TEXTS[verdict.refusal][words.language];
    const lines = [verdict.accepted ? words.accepted(place) : words.refused(place, reason)];
    if (!verdict.conclusive) lines.push(words.inconclusive);
    lines.push(words.submitted(departmentName(verdict.department, words)));
    if (verdict.record !== null) {
      const { resource, subject, version, action } = verdict.record;
      const about = words.about(title(resource, words), subject);
      lines.push(action === "revoke" ? words.withdrawn(about, version) : words.recorded(about, version));
      if (verdict.record.fields === null) lines.push(words.notShown);
    }
    if (verdict.accepted) lines.push(words.newerUnknown);
    return lines;
  },

  disclosure(verdict, words) {
    const fields = Object.entries(verdict.confidential).map(([name, value]) =>
      words.shown(fieldTitle(verdict.definition, name, words), value ?? words.noValue),
    );
    const shown = fields.length > 0 ? fields : [words.noFields];
    return [...LINES.receipt(verdict, { ...words, definition: verdict.definition }), ...shown];
  },

  statement(verdict, words) {
    const lines = verdict.answers.flatMap(({ resource, subject, version, in_force: isInForce, record }) => {
      const about = words.about(title(resource, words), subject);
      if (version === 0) return [words.never(about)];
      const line = isInForce ? words.inForce(about, version) : words.revoked(about, version);
      return record !== null && record.fields === null ? [line, words.notShown] : [line];
    });
    for (const { key, value } of verdict.entries) lines.push(...entryLines(key, value, verdict.answers, words));
    return [words.asOf(words.blockAt(verdict)), ...(lines.length > 0 ? lines : [words.noAnswer])];
  },

  history(verdict, words) {
    return [words.history(words.blockAt(verdict.old), words.blockAt(verdict.new))];
  },

  fork(verdict, words) {
    return [words.fork(...verdict.blocks.map((block) => words.blockAt(block)))];
  },
};

/** Key and value in hex; the value null where there is none. */
function entryLines(key, value, answers, words) {
  const register = registerIn(bytesOf(key));
  if (register !== null) return [registerLine(register, value, answers, words)];
  const { kind, about, state } = readEntry(bytesOf(key), value === null ? null : bytesOf(value));
  if (kind === "other") return [value === null ? words.noEntry(key) : words.entry(key, value)];
  return ENTRY_LINES[kind](about, state, words);
}

/** The register that a key is about; null if it is none that a register can have, whatever its name looks like to people. */
function registerIn(key) {
  const name = TEXT.decode(key.subarray(1));
  return key[0] === REGISTER && REGISTER_NAME.test(name) ? name : null;
}

/** How many resources a register has, and whether the statement is about all of them (Q9). */
function registerLine(register, value, answers, words) {
  const isOfRegister = (resource) => registerOf(resource) === register;
  const count = value === null ? [...words.genesis.catalogue.keys()].filter(isOfRegister).length : parseInt(value, 16);
  const answered = new Map();
  for (const { resource, subject } of answers) {
    if (isOfRegister(resource)) answered.set(subject, (answered.get(subject) ?? 0) + 1);
  }
  const silent = count - (answered.size > 0 ? Math.min(...answered.values()) : 0);
  return silent === 0 ? words.whole(register, count) : words.part(register, count, silent);
}

const ENTRY_LINES = {
  grant({ grant: id }, state, words) {
    if (state === null) return [words.noGrant(id)];
    const terms = state.granted ?? state.applied;
    if (terms === null) return [words.noAnswer];
    const status = words.grantStatus[state.status] ?? "?";
    const what = words.fields(title(terms.resource, words), terms.fields);
    const reads = state.reads?.count ?? 0n;
    return [
      words.grant(id, status, departmentName(state.applicant, words), what),
      words.terms(reads, terms.max_reads, timeOf(terms.expires_ms), state.purpose),
    ];
  },

  read({ read: id }, state, words) {
    if (state === null) return [words.noRead(id)];
    const what = words.fields(words.about(title(state.resource, words), state.subject), state.fields);
    return [
      words.read(id, departmentName(state.reader, words), what, timeOf(state.time_ms)),
      state.acknowledged_ms === 0n ? words.askedFor : words.arrived(timeOf(state.acknowledged_ms)),
    ];
  },

  reads({ resource, subject }, state, words) {
    return [words.reads(words.about(title(resource, words), subject), state?.count ?? 0n)];
  },

  erasure({ department, record }, state, words) {
    const name = departmentName(department, words);
    if (state === null) return [words.noErasure(record, name)];
    const done = state.done.map((item) => words.erased(departmentName(item.department, words), timeOf(item.time_ms)));
    return [words.erasure(record, name, timeOf(state.time_ms)), ...done];
  },
};

function bytesOf(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function timeOf(timeMs) {
  return shortTime(isoTime(timeMs));
}

/** To the second, in UTC. */
function shortTime(time) {
  return time === null ? "?" : `${time.slice(0, 19).replace("T", " ")} UTC`;
}

/** `definition` is that of the resource which a verdict is about, where it is proved; else the genesis' is looked for. */
function title(resource, { genesis, language, definition = genesis.catalogue.get(resource) }) {
  return definition?.[`title_${language}`] || resource;
}

function fieldTitle(definition, name, { language }) {
  const spec = definition.fields.find((field) => field.name === name);
  return spec[`title_${language}`] || name;
}

function departmentName(id, { genesis, language }) {
  return genesis.departments.find((department) => department.id === id)?.[`name_${language}`] || id;
}
