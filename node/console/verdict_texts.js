// Verdicts in a few sentences, in English and Chinese.

import { TEXTS } from "./texts.js";

/** What a verdict says to people; `language` is "en" or "zh". Names and titles are those of the genesis. Lines are separated by line feeds. */
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
    asOf: (place) => `Valid: so it was after ${place}.`,
    noAnswer: "It shows nothing.",
    inForce: (about, version) => `${about}: in force, version ${version}.`,
    revoked: (about, version) => `${about}: revoked, with version ${version}.`,
    never: (about) => `${about}: there has never been a record.`,
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
    asOf: (place) => `有效：以下为${place}之后的情况。`,
    noAnswer: "该证明未出示任何内容。",
    inForce: (about, version) => `${about}：有效，第 ${version} 版。`,
    revoked: (about, version) => `${about}：已撤销（第 ${version} 版）。`,
    never: (about) => `${about}：从未有过记录。`,
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
      words.shown(fieldTitle(verdict.record.resource, name, words), value ?? words.noValue),
    );
    return [...LINES.receipt(verdict, words), ...fields];
  },

  statement(verdict, words) {
    const lines = verdict.answers.flatMap(({ resource, subject, version, in_force: isInForce, record }) => {
      const about = words.about(title(resource, words), subject);
      if (version === 0) return [words.never(about)];
      const line = isInForce ? words.inForce(about, version) : words.revoked(about, version);
      return record !== null && record.fields === null ? [line, words.notShown] : [line];
    });
    return [words.asOf(words.blockAt(verdict)), ...(lines.length > 0 ? lines : [words.noAnswer])];
  },

  history(verdict, words) {
    return [words.history(words.blockAt(verdict.old), words.blockAt(verdict.new))];
  },

  fork(verdict, words) {
    return [words.fork(...verdict.blocks.map((block) => words.blockAt(block)))];
  },
};

/** To the second, in UTC. */
function shortTime(time) {
  return time === null ? "?" : `${time.slice(0, 19).replace("T", " ")} UTC`;
}

function title(resource, { genesis, language }) {
  return genesis.catalogue.get(resource)?.[`title_${language}`] || resource;
}

function fieldTitle(resource, name, { genesis, language }) {
  const spec = genesis.catalogue.get(resource).fields.find((field) => field.name === name);
  return spec[`title_${language}`] || name;
}

function departmentName(id, { genesis, language }) {
  return genesis.departments.find((department) => department.id === id)?.[`name_${language}`] || id;
}
