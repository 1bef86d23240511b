// The messages that a verifier reads: proto/huzheng/v1 as tables. A test compares them with the schema itself.

// What a message may have at most of a repeated field before it is refused anyway, with one more. The others are read and not kept, so
// that hostile bytes can't fill the memory.
const PATH = 65;
const EPOCHS = 32_769;

/** Fields by number: "type name", after "repeated" (with how many are kept, if that is limited) or "oneof" (with its name). */
const MESSAGES = {
  BlockHeader: {
    1: "bytes chain_id",
    2: "uint64 height",
    3: "bytes parent_hash",
    4: "uint64 epoch",
    5: "uint32 proposer",
    6: "uint64 time_ms",
    7: "uint32 protocol_version",
    8: "uint32 transaction_count",
    9: "bytes transactions_root",
    10: "bytes results_root",
    11: "bytes state_root",
    12: "bytes history_root",
  },
  Seal: { 1: "uint64 epoch", 2: "uint64 height", 3: "bytes block_hash" },
  SealSignature: { 1: "uint32 replica", 2: "bytes signature" },
  Certificate: { 1: "repeated:257 SealSignature seals" },
  Receipt: {
    1: "bytes header",
    2: "bytes certificate",
    3: "bytes body",
    4: "bytes signature",
    5: "bytes result",
    6: "uint32 transaction_index",
    7: `repeated:${PATH} bytes transaction_path`,
    8: `repeated:${PATH} bytes result_path`,
    9: "RecordProof record",
    10: `repeated:${EPOCHS} EpochProof epochs`,
  },
  EpochProof: {
    1: "bytes header",
    2: "bytes certificate",
    3: "bytes body",
    4: "bytes result",
    5: "uint32 transaction_index",
    6: `repeated:${PATH} bytes transaction_path`,
    7: `repeated:${PATH} bytes result_path`,
  },
  RecordProof: { 1: "bytes record", 2: "bytes payload", 3: "uint32 index", 4: `repeated:${PATH} bytes path` },

  TransactionBody: {
    1: "bytes chain_id",
    2: "string department",
    3: "bytes public_key",
    4: "bytes nonce",
    5: "uint64 expires_ms",
    6: "bytes records_root",
    7: "uint32 record_count",
    8: "repeated Operation operations",
  },
  Operation: {
    1: "oneof:operation AddKey add_key",
    2: "oneof:operation RevokeKey revoke_key",
    3: "oneof:operation ChangeMembership change_membership",
  },
  AddKey: { 1: "SigningKey key" },
  RevokeKey: { 1: "bytes public_key" },
  TransactionResult: { 1: "bytes transaction_id", 2: "enum code", 3: "uint32 index" },
  Record: {
    1: "string resource",
    2: "string subject",
    3: "uint64 version",
    4: "bytes replaces",
    5: "enum action",
    6: "uint32 schema_version",
    7: "bytes payload_digest",
  },
  Payload: { 1: "bytes salt", 2: "repeated FieldValue fields" },
  FieldValue: { 1: "uint32 number", 2: "string value" },

  ChangeMembership: { 1: "bytes change", 2: "repeated Approval approvals" },
  Approval: { 1: "string department", 2: "bytes public_key", 3: "bytes signature" },
  MembershipChange: {
    1: "bytes chain_id",
    2: "uint64 epoch",
    3: "uint64 expires_ms",
    4: "repeated MembershipAction actions",
  },
  MembershipAction: {
    1: "oneof:action Department add_department",
    2: "oneof:action SeatReplica add_replica",
    3: "oneof:action RemoveReplica remove_replica",
    4: "oneof:action SeatReplica replace_key",
    5: "oneof:action ActivateProtocol activate_protocol",
  },
  SeatReplica: { 1: "bytes replica", 2: "bytes proof" },
  RemoveReplica: { 1: "uint32 replica" },
  ActivateProtocol: { 1: "uint32 version" },

  Genesis: {
    1: "string name",
    2: "uint64 time_ms",
    3: "uint32 protocol_version",
    4: "string suite",
    5: "Parameters parameters",
    6: "repeated Department departments",
    7: "repeated Replica replicas",
    8: "repeated Resource catalogue",
  },
  Parameters: {
    1: "uint32 watermark_window",
    2: "uint32 pipeline_depth",
    3: "uint32 max_batch_bytes",
    4: "uint32 max_batch_transactions",
    5: "uint32 max_transaction_bytes",
    6: "uint32 max_transaction_records",
    7: "uint32 max_payload_bytes",
    8: "uint64 max_lifetime_ms",
    9: "uint64 clock_bound_ms",
    10: "uint64 heartbeat_ms",
  },
  Department: {
    1: "string id",
    2: "string credit_code",
    3: "string name_zh",
    4: "string name_en",
    5: "bytes ca_certificate",
    6: "repeated SigningKey keys",
  },
  SigningKey: { 1: "bytes public_key", 2: "enum role" },
  Replica: { 1: "uint32 id", 2: "string department", 3: "bytes public_key" },
  Resource: {
    1: "string name",
    2: "string title_zh",
    3: "string title_en",
    4: "string department",
    5: "enum sharing_class",
    6: "uint32 schema_version",
    7: "FieldSpec subject",
    8: "repeated FieldSpec fields",
  },
  FieldSpec: {
    1: "uint32 number",
    2: "string name",
    3: "string title_zh",
    4: "string title_en",
    5: "enum type",
    6: "bool required",
    7: "uint32 max_bytes",
    8: "string pattern",
    9: "repeated string codes",
    10: "uint32 scale",
  },

  Head: { 1: "uint64 version", 2: "bytes record_id", 3: "enum action" },
  KeyState: { 1: "string department", 2: "enum role", 3: "bool revoked" },
  EpochState: {
    1: "uint64 epoch",
    2: "uint64 first_height",
    3: "uint32 protocol_version",
    4: "repeated Replica replicas",
    5: "uint32 highest_replica",
    6: "uint64 change_height",
    7: "uint32 change_index",
  },
  StateProof: {
    1: "uint32 depth",
    2: "bytes occupied",
    3: "bytes siblings",
    4: "bytes other_path",
    5: "bytes other_digest",
  },

  Statement: {
    1: "bytes header",
    2: "bytes certificate",
    3: "repeated:33 LeafProof leaves",
    4: "repeated:513 StatedRecord records",
    5: `repeated:${EPOCHS} EpochProof epochs`,
  },
  StatedRecord: { 1: "bytes record", 2: "bytes payload" },
  EpochBundle: { 1: `repeated:${EPOCHS} EpochProof epochs` },
  LeafProof: {
    1: "string register",
    2: "string subject",
    3: "uint32 page",
    4: "StateProof path",
    5: "repeated:5 GroupProof groups",
  },
  GroupProof: { 1: "bytes hash", 2: "repeated:5 SlotProof slots" },
  SlotProof: { 1: "bytes hash", 2: "bytes blind", 3: "bytes head" },

  HistoryProof: {
    1: "bytes header",
    2: "bytes certificate",
    3: "bytes old_header",
    4: "bytes old_certificate",
    5: `repeated:${PATH} bytes inclusion`,
    6: `repeated:${PATH + 1} bytes consistency`,
    7: `repeated:${EPOCHS} EpochProof epochs`,
  },
  Anchor: { 1: "bytes header", 2: "bytes certificate", 3: "EpochState epoch" },
  Fork: {
    1: "bytes header",
    2: "bytes certificate",
    3: "bytes other_header",
    4: "bytes other_certificate",
    5: `repeated:${EPOCHS} EpochProof epochs`,
  },
};

const SCALARS = new Set(["uint32", "uint64", "enum", "bool", "string", "bytes"]);

function compileField(number, text) {
  const words = text.split(" ");
  const name = words.pop();
  const type = words.pop();
  const [label, argument] = (words.pop() ?? "").split(":");
  return {
    number,
    name,
    type,
    isMessage: !SCALARS.has(type),
    isRepeated: label === "repeated",
    kept: label === "repeated" && argument ? Number(argument) : Infinity,
    oneof: label === "oneof" ? argument : null,
  };
}

function compileMessage(fields) {
  return new Map(Object.entries(fields).map(([number, text]) => [Number(number), compileField(Number(number), text)]));
}

/** By message type: its fields by number, in ascending order. */
export const SCHEMA = new Map(Object.entries(MESSAGES).map(([name, fields]) => [name, compileMessage(fields)]));
