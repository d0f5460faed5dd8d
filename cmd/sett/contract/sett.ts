// Written by "sett contract -o typescript"; do not edit.

// The messages of sett, version 1.0.0, in JSON. In msgpack they are the same maps,
// with the bytes of a value as Uint8Array under its own name, and never under
// value_base64.

/** What any request in JSON may say. */
export interface Request {
  /** In JSON: answer with `value_base64` instead of `value`, also where the bytes are text. */
  base64?: boolean;
}

/** Every code that the store refuses with. */
export type Code = "invalid" | "not_found" | "conflict" | "too_large" | "overloaded" | "unavailable" | "internal";

/** A request whose field K stands behind the subject, and need not be said again. */
export type Behind<R, K extends PropertyKey> = R extends unknown ? Omit<R, K> & { [P in K & keyof R]?: R[P] } : never;

/** What `kv.set` is asked with. */
export type SetRequest = Request & {
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** Expire after this long. Without it, or with 0, the key never expires. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** Keep the deadline that the key has. Does not go with `ttl_ms`. */
  keep_ttl?: boolean;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
  /** Answer with what was there before. */
  return_previous?: boolean;
} & (
  | { /** In JSON where the bytes are UTF-8. */ value: string; value_base64?: never }
  | { value?: never; /** The same in base64, with padding. */ value_base64: string }
);

/** A key with its value. */
export interface Entry {
  /** The key. */
  key: string;
  /** The value; in a list only if it was asked for. */
  value?: string;
  /** The same in base64, where the bytes are no UTF-8 or shorter that way. */
  value_base64?: string;
  /** The revision of its last change. */
  revision: number;
  /** The revision at which it was created. */
  created_revision: number;
  /** The TTL that it was given. */
  ttl_ms?: number;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `kv.set` answers. */
export interface SetReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of this change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** There was none before. */
  created: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
  /** What was there before, if that was asked for. */
  previous?: Entry;
}

/** What `kv.delete` is asked with. */
export interface DeleteRequest extends Request {
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
  /** Answer with what was there before. */
  return_previous?: boolean;
}

/** What `kv.delete` answers. */
export interface DeleteReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of this change; 0 where there was no key. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Whether there was such a key. */
  deleted: boolean;
  /** What was there before, if that was asked for. */
  previous?: Entry;
}

/** What `kv.touch` is asked with. */
export interface TouchRequest extends Request {
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** Expire after this long from now on; 0: never. Without it the key gets its last TTL again. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** What `kv.touch` answers. */
export interface TouchReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The key's revision, which a touch does not change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `kv.increment` is asked with. */
export interface IncrementRequest extends Request {
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** What to add. Without it 1. Not 0. */
  by?: number;
  /** Expire after this long, if this creates the key. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** What `kv.increment` answers. */
export interface IncrementReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of this change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** There was none before. */
  created: boolean;
  /** The number that it is now. */
  value: number;
}

/** What `kv.clear` is asked with. */
export interface ClearRequest extends Request {
  /** Delete what begins with this. 1 to 1,024 bytes. */
  prefix: string;
  /** Delete at most so many in this one commit; 0 means 1,000. 0 to 1,000. */
  limit?: number;
}

/** What `kv.clear` answers. */
export interface ClearReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of the last key that was deleted; 0 where there was none. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** How many keys were deleted. */
  deleted: number;
  /** Keys are left: ask again. */
  more: boolean;
}

/** What `svc.register` is asked with. */
export interface RegisterRequest extends Request {
  /** The service's name. 1 to 255 bytes. */
  name: string;
  /** The instance's id. Without it `address:port`, and both are needed. At most 255 bytes. */
  id?: string;
  /** The host where it is reached. At most 255 bytes. */
  address?: string;
  /** The port where it is reached. 0 to 65,535. */
  port?: number;
  /** Its tags, which are a set. At most 64, of 1 to 255 bytes. */
  tags?: string[];
  /** Its free-form entries. At most 64, of 1 to 128 bytes, each with at most 512 bytes. */
  meta?: Record<string, string>;
  /** Expire this long after the last heartbeat. Without it, or with 0, never. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** How it is. Without it passing. Passing, warning, critical. */
  status?: "passing" | "warning" | "critical";
  /** A text on the status, for people. At most 1,024 bytes. */
  note?: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** What `svc.register` answers. */
export interface RegisterReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of this change, or of the instance where nothing changed. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** The instance's id. */
  id: string;
  /** There was none before. */
  created: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `svc.heartbeat` is asked with. */
export interface HeartbeatRequest extends Request {
  /** The service's name. 1 to 255 bytes. */
  name: string;
  /** The instance's id. 1 to 255 bytes. */
  id: string;
  /** How it is now. Without it as before. Passing, warning, critical. */
  status?: "passing" | "warning" | "critical";
  /** A text on the status, for people. Without it as before. At most 1,024 bytes. */
  note?: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** What `svc.heartbeat` answers. */
export interface HeartbeatReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The instance's revision. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `svc.deregister` is asked with. */
export interface DeregisterRequest extends Request {
  /** The service's name. 1 to 255 bytes. */
  name: string;
  /** The instance's id. 1 to 255 bytes. */
  id: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** What `svc.deregister` answers. */
export interface DeregisterReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of this change; 0 where there was no instance. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Whether there was such an instance. */
  deregistered: boolean;
}

/** The command `kv.set` in a batch. */
export type SetOp = {
  /** Which command it is. Kv.set. */
  op: "kv.set";
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** Expire after this long. Without it, or with 0, the key never expires. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** Keep the deadline that the key has. Does not go with `ttl_ms`. */
  keep_ttl?: boolean;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
} & (
  | { /** In JSON where the bytes are UTF-8. */ value: string; value_base64?: never }
  | { value?: never; /** The same in base64, with padding. */ value_base64: string }
);

/** The command `kv.delete` in a batch. */
export interface DeleteOp {
  /** Which command it is. Kv.delete. */
  op: "kv.delete";
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** The command `kv.touch` in a batch. */
export interface TouchOp {
  /** Which command it is. Kv.touch. */
  op: "kv.touch";
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** Expire after this long from now on; 0: never. Without it the key gets its last TTL again. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** The command `kv.increment` in a batch. */
export interface IncrementOp {
  /** Which command it is. Kv.increment. */
  op: "kv.increment";
  /** The key. 1 to 1,024 bytes. */
  key: string;
  /** What to add. Without it 1. Not 0. */
  by?: number;
  /** Expire after this long, if this creates the key. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** The command `svc.register` in a batch. */
export interface RegisterOp {
  /** Which command it is. Svc.register. */
  op: "svc.register";
  /** The service's name. 1 to 255 bytes. */
  name: string;
  /** The instance's id. Without it `address:port`, and both are needed. At most 255 bytes. */
  id?: string;
  /** The host where it is reached. At most 255 bytes. */
  address?: string;
  /** The port where it is reached. 0 to 65,535. */
  port?: number;
  /** Its tags, which are a set. At most 64, of 1 to 255 bytes. */
  tags?: string[];
  /** Its free-form entries. At most 64, of 1 to 128 bytes, each with at most 512 bytes. */
  meta?: Record<string, string>;
  /** Expire this long after the last heartbeat. Without it, or with 0, never. 0, or 10 to 315,360,000,000. */
  ttl_ms?: number;
  /** How it is. Without it passing. Passing, warning, critical. */
  status?: "passing" | "warning" | "critical";
  /** A text on the status, for people. At most 1,024 bytes. */
  note?: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** The command `svc.deregister` in a batch. */
export interface DeregisterOp {
  /** Which command it is. Svc.deregister. */
  op: "svc.deregister";
  /** The service's name. 1 to 255 bytes. */
  name: string;
  /** The instance's id. 1 to 255 bytes. */
  id: string;
  /** Only if the revision is exactly this; 0: only if there is none. */
  if_revision?: number;
}

/** A command in a batch. */
export type Op = SetOp | DeleteOp | TouchOp | IncrementOp | RegisterOp | DeregisterOp;

/** It holds if the revision of the key, or of the instance, is exactly this. */
export interface Condition {
  /** The key, or `name` and `id`. At most 1,024 bytes. */
  key?: string;
  /** The service's name, with `id`. At most 255 bytes. */
  name?: string;
  /** The instance's id, with `name`. At most 255 bytes. */
  id?: string;
  /** What its revision must be; 0: there must be none. */
  revision: number;
}

/** What `batch.apply` is asked with. */
export interface BatchRequest extends Request {
  /** The commands, applied one after the other. 1 to 1,000. */
  ops: Op[];
  /** Conditions on the state before the batch: one that does not hold fails all. At most 1,000. */
  if?: Condition[];
}

/** What `kv.set` gave in a batch. */
export interface SetResult {
  /** The revision of this change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** There was none before. */
  created: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
  /** What was there before, if that was asked for. */
  previous?: Entry;
}

/** What `kv.delete` gave in a batch. */
export interface DeleteResult {
  /** The revision of this change; 0 where there was no key. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Whether there was such a key. */
  deleted: boolean;
  /** What was there before, if that was asked for. */
  previous?: Entry;
}

/** What `kv.touch` gave in a batch. */
export interface TouchResult {
  /** The key's revision, which a touch does not change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `kv.increment` gave in a batch. */
export interface IncrementResult {
  /** The revision of this change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** There was none before. */
  created: boolean;
  /** The number that it is now. */
  value: number;
}

/** What `svc.register` gave in a batch. */
export interface RegisterResult {
  /** The revision of this change, or of the instance where nothing changed. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** The instance's id. */
  id: string;
  /** There was none before. */
  created: boolean;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `svc.deregister` gave in a batch. */
export interface DeregisterResult {
  /** The revision of this change; 0 where there was no instance. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** Whether there was such an instance. */
  deregistered: boolean;
}

/** What a command in a batch gave. */
export type Result = SetResult | DeleteResult | TouchResult | IncrementResult | RegisterResult | DeregisterResult;

/** What `batch.apply` answers. */
export interface BatchReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The revision of the last change. */
  revision: number;
  /** This repeats the reply to an earlier command with the same `Nats-Msg-Id`. */
  duplicate?: boolean;
  /** What each op gave, in the order of `ops`. */
  results: Result[];
}

/** What `kv.get` is asked with. */
export interface GetRequest extends Request {
  /** The key. 1 to 1,024 bytes. */
  key: string;
}

/** What `kv.get` answers. */
export interface GetReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The key. */
  key: string;
  /** The value. */
  value?: string;
  /** The same in base64, where the bytes are no UTF-8 or shorter that way. */
  value_base64?: string;
  /** The revision of its last change. */
  revision: number;
  /** The revision at which it was created. */
  created_revision: number;
  /** The TTL that it was given. */
  ttl_ms?: number;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
}

/** What `kv.list` is asked with. */
export interface ListRequest extends Request {
  /** Only what begins with this. At most 1,024 bytes. */
  prefix?: string;
  /** A key: begin behind it. Does not go with `cursor`. At most 1,024 bytes. */
  after?: string;
  /** `next` of the page before. All else must be as it was then. At most 4,096 bytes. */
  cursor?: string;
  /** The most elements of the page; 0 means 1,000. 0 to 10,000. */
  limit?: number;
  /** With the values. */
  return_values?: boolean;
  /** From the last key to the first. */
  reverse?: boolean;
  /** Fold keys that have this text behind the prefix into `prefixes`, as folders. At most 1,024 bytes. */
  delimiter?: string;
}

/** What `kv.list` answers. */
export interface ListReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The keys of this page. */
  entries: Entry[];
  /** What was folded: each prefix up to and with the delimiter. */
  prefixes?: string[];
  /** Ask for the next page with this as `cursor`. Without it this was the last page. */
  next?: string;
}

/** What `batch.get` is asked with. */
export interface BatchGetRequest extends Request {
  /** The keys. 1 to 1,000, of 1 to 1,024 bytes. */
  keys: string[];
}

/** What `batch.get` answers. */
export interface BatchGetReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The keys that exist, in the order of the request. */
  entries: Entry[];
}

/** What `svc.get` is asked with. */
export interface GetServiceRequest extends Request {
  /** The service's name. 1 to 255 bytes. */
  name: string;
  /** Only the instance of this id. At most 255 bytes. */
  id?: string;
  /** Only instances that have all of these tags. At most 64, of 1 to 255 bytes. */
  tags?: string[];
  /** Only instances that have all of these entries. At most 64, of 1 to 128 bytes, each with at most 512 bytes. */
  meta?: Record<string, string>;
  /** Only instances of these statuses. Without it passing and warning. At most 64, of passing, warning, critical. */
  statuses?: ("passing" | "warning" | "critical")[];
  /** Order the instances: at random, or as `pick_key` decides, which stays the same while instances come and go. Random, rendezvous. */
  pick?: "random" | "rendezvous";
  /** What decides the order of rendezvous, such as a user's id. At most 1,024 bytes. */
  pick_key?: string;
  /** The most elements of the page; 0 means 1,000. 0 to 10,000. */
  limit?: number;
  /** `next` of the page before. All else must be as it was then. At most 4,096 bytes. */
  cursor?: string;
}

/** One registered instance of a service. */
export interface Instance {
  /** The service's name. */
  name: string;
  /** The instance's id. */
  id: string;
  /** The host where it is reached. */
  address?: string;
  /** The port where it is reached. */
  port?: number;
  /** Its tags, which are a set. */
  tags?: string[];
  /** Its free-form entries. */
  meta?: Record<string, string>;
  /** How it is. */
  status: "passing" | "warning" | "critical";
  /** A text on the status, for people. */
  note?: string;
  /** The TTL that it was given. */
  ttl_ms?: number;
  /** Its deadline, in Unix milliseconds of the store's clock. What never expires has none. */
  expires_at_ms?: number;
  /** The revision of its last change. */
  revision: number;
  /** The revision at which it was created. */
  created_revision: number;
}

/** What `svc.get` answers. */
export interface GetServiceReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The instances; none where nobody registered the name. */
  instances: Instance[];
  /** Ask for the next page with this as `cursor`. Without it this was the last page. */
  next?: string;
}

/** What `svc.list` is asked with. */
export interface ListServicesRequest extends Request {
  /** Only names that begin with this. At most 255 bytes. */
  prefix?: string;
  /** The most elements of the page; 0 means 1,000. 0 to 10,000. */
  limit?: number;
  /** `next` of the page before. All else must be as it was then. At most 4,096 bytes. */
  cursor?: string;
}

/** What there is of the instances of one name. */
export interface Service {
  /** The service's name. */
  name: string;
  /** How many instances it has. */
  count: number;
  /** The tags of any of its instances. */
  tags?: string[];
}

/** What `svc.list` answers. */
export interface ListServicesReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The services of this page. */
  services: Service[];
  /** Ask for the next page with this as `cursor`. Without it this was the last page. */
  next?: string;
}

/** What `store.status` is asked with. */
export interface StatusRequest extends Request {
}

/** How far the change feed has come. */
export interface FeedStatus {
  /** Of the feed: live or durable. */
  mode: string;
  /** Changes are announced up to this one. */
  acked_revision: number;
  /** How many changes are not yet announced. */
  outbox_revisions: number;
  /** The size of these changes. */
  outbox_bytes: number;
  /** The age of the oldest of them. */
  lag_ms: number;
}

/** The limits of a store. */
export interface Limits {
  /** Bytes of a key. */
  key: number;
  /** Bytes of a key or name as subject tokens. */
  subject: number;
  /** Bytes of a value. */
  value: number;
  /** Bytes of a service's name, and of an instance's id. */
  name: number;
  /** Tags of an instance. */
  tags: number;
  /** Free-form entries of an instance. */
  meta: number;
  /** Commands of a batch. */
  ops: number;
  /** Bytes of a batch. */
  batch: number;
  /** Bytes of the events of one command or batch. */
  events: number;
  /** Bytes of a message, which the NATS server decides. */
  max_payload: number;
  /** The shortest TTL. */
  min_ttl_ms: number;
  /** The longest TTL. */
  max_ttl_ms: number;
}

/** What `store.status` answers. */
export interface StatusReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** Which store this is; it stays with the data. */
  store_id: string;
  /** The version of the program. */
  version: string;
  /** How many keys there are. */
  keys: number;
  /** How many instances there are. */
  instances: number;
  /** The size of the data on disk, or in memory. */
  bytes: number;
  /** How far the change feed has come. */
  feed: FeedStatus;
  /** How long it has been running. */
  uptime_ms: number;
  /** The limits that it keeps. */
  limits: Limits;
  /** Whether it takes commands. */
  ready: boolean;
  /** Why it is not ready. */
  reasons?: string[];
}

/** What `store.backup` is asked with. */
export interface BackupRequest extends Request {
}

/** What `store.backup` sends before its reply, again and again. */
export type BackupChunk = {
  /** 1, 2, 3, ...: a hole means that a chunk was lost. */
  seq: number;
} & (
  | { /** In JSON where the bytes are UTF-8. */ data: string; data_base64?: never }
  | { data?: never; /** The same in base64, with padding. */ data_base64: string }
);

/** What `store.backup` answers. */
export interface BackupReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** The backup is whole. */
  done: boolean;
  /** How many chunks there were. */
  chunks: number;
  /** How many bytes they had. */
  bytes: number;
  /** The SHA-256 over these bytes, in hexadecimal. */
  sha256: string;
  /** How many keys are in it. */
  keys: number;
  /** How many instances are in it. */
  instances: number;
}

/** A change of a key, of an instance, or of the store itself. */
export interface Change {
  /** The revision of this change: dense and rising within an epoch. */
  revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** What happened: set, delete, expire, register, deregister, or changed (the store itself). */
  op: string;
  /** Why the store itself changed: restored, rewound or gap. */
  reason?: string;
  /** The key, if it is about one. */
  key?: string;
  /** The service's name, if it is about an instance. */
  name?: string;
  /** The instance's id. */
  id?: string;
  /** The revision that it had before; 0: there was none. */
  previous_revision: number;
  /** The last revision of the same command or batch: up to it all happened at once. */
  commit_revision: number;
  /** When it happened, in Unix milliseconds of the store's clock. */
  time_ms: number;
  /** The value, of a set. */
  value?: string;
  /** The same in base64, where the bytes are no UTF-8 or shorter that way. */
  value_base64?: string;
  /** The TTL, of a set. */
  ttl_ms?: number;
  /** The deadline, of a set. */
  expires_at_ms?: number;
  /** The instance; when it goes, as it was last. */
  instance?: Instance;
}

/** A command that nobody waited for failed. It never tells a key or a value. */
export interface Rejected {
  /** What kind of refusal it is; programs decide by this and nothing else. */
  code: Code;
  /** The command's subject, without prefix and key. */
  command: string;
  /** The command's `Nats-Msg-Id`, if it had one. */
  id?: string;
}

/** A refusal. Only `internal`, and no answer at all, leave open whether a command was applied. */
export interface ErrorReply {
  /** The answer includes every change up to this one. */
  store_revision: number;
  /** Another one than before says: load again. */
  epoch: number;
  /** What kind of refusal it is; programs decide by this and nothing else. */
  code: Code;
  /** A sentence for people. */
  message: string;
  /** Whether the same request may succeed later. */
  temporary: boolean;
  /** The field that broke a rule. */
  field?: string;
  /** The limit that was passed. */
  limit?: number;
  /** Which op or condition of the batch it was, counted from 0. */
  index?: number;
  /** The key whose condition did not hold. */
  key?: string;
  /** The service whose condition did not hold. */
  name?: string;
  /** The instance whose condition did not hold. */
  id?: string;
  /** The revision that it has; 0: there is none. */
  revision?: number;
}

/** What each subject is asked with and answers. A refusal is an ErrorReply. */
export interface Endpoints {
  /** Store a value under a key. */
  "kv.set": { request: SetRequest; reply: SetReply };
  [behind: `kv.set.${string}`]: { request: Behind<SetRequest, "key">; reply: SetReply };
  /** Remove a key. */
  "kv.delete": { request: DeleteRequest; reply: DeleteReply };
  [behind: `kv.delete.${string}`]: { request: Behind<DeleteRequest, "key">; reply: DeleteReply };
  /** Move a key's deadline. */
  "kv.touch": { request: TouchRequest; reply: TouchReply };
  [behind: `kv.touch.${string}`]: { request: Behind<TouchRequest, "key">; reply: TouchReply };
  /** Add to a number kept as decimal text. */
  "kv.increment": { request: IncrementRequest; reply: IncrementReply };
  [behind: `kv.increment.${string}`]: { request: Behind<IncrementRequest, "key">; reply: IncrementReply };
  /** Delete the keys below a prefix, a page at a time. */
  "kv.clear": { request: ClearRequest; reply: ClearReply };
  [behind: `kv.clear.${string}`]: { request: Behind<ClearRequest, "prefix">; reply: ClearReply };
  /** Register or renew an instance of a service. */
  "svc.register": { request: RegisterRequest; reply: RegisterReply };
  [behind: `svc.register.${string}`]: { request: Behind<RegisterRequest, "name">; reply: RegisterReply };
  /** Keep an instance alive. */
  "svc.heartbeat": { request: HeartbeatRequest; reply: HeartbeatReply };
  [behind: `svc.heartbeat.${string}`]: { request: Behind<HeartbeatRequest, "name">; reply: HeartbeatReply };
  /** Remove an instance. */
  "svc.deregister": { request: DeregisterRequest; reply: DeregisterReply };
  [behind: `svc.deregister.${string}`]: { request: Behind<DeregisterRequest, "name">; reply: DeregisterReply };
  /** Apply all of several commands, or none. */
  "batch.apply": { request: BatchRequest; reply: BatchReply };
  [behind: `batch.apply.${string}`]: { request: BatchRequest; reply: BatchReply };
  /** Read a key. */
  "kv.get": { request: GetRequest; reply: GetReply };
  [behind: `kv.get.${string}`]: { request: Behind<GetRequest, "key">; reply: GetReply };
  /** Read a page of keys in byte order. */
  "kv.list": { request: ListRequest; reply: ListReply };
  [behind: `kv.list.${string}`]: { request: ListRequest; reply: ListReply };
  /** Read several keys from one snapshot. */
  "batch.get": { request: BatchGetRequest; reply: BatchGetReply };
  [behind: `batch.get.${string}`]: { request: BatchGetRequest; reply: BatchGetReply };
  /** Find the instances of a service. */
  "svc.get": { request: GetServiceRequest; reply: GetServiceReply };
  [behind: `svc.get.${string}`]: { request: Behind<GetServiceRequest, "name">; reply: GetServiceReply };
  /** Read a page of service names. */
  "svc.list": { request: ListServicesRequest; reply: ListServicesReply };
  /** Say how the store is. */
  "store.status": { request: StatusRequest; reply: StatusReply };
  /** Send a backup of the whole store, in chunks that are acknowledged. */
  "store.backup": { request: BackupRequest; chunk: BackupChunk; reply: BackupReply };
}

/** What is announced on each subject. */
export interface Events {
  /** A key was set, deleted, or expired. */
  [subject: `kv.changed.${string}`]: Change;
  /** An instance was registered, deregistered, or expired. */
  [subject: `svc.changed.${string}`]: Change;
  /** A new epoch began: load again. */
  [subject: `store.changed.${string}`]: Change;
  /** A command that nobody waits for failed. */
  [subject: `store.rejected.${string}`]: Rejected;
}
