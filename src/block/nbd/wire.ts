// The numbers of NBD, as doc/proto.md of the NBD project has them, and EXTENDED_HEADERS from its branch of that name. All of the
// wire is big-endian.

/** The first bytes of a server, of each option and of each reply to one: 64 bits as two words. */
export const magic = {
  server: [0x4e42444d, 0x41474943], // NBDMAGIC
  option: [0x49484156, 0x454f5054], // IHAVEOPT
  optionReply: [0x0003e889, 0x045565a9],
  request: 0x25609513,
  extendedRequest: 0x21e41c71,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
  extendedReply: 0x6e8a278c,
} as const;

/** Of the greeting, and of the client's answer to it. */
export const handshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
  extendedHeaders: 11,
} as const;

export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  policy: 0x8000_0002,
  invalid: 0x8000_0003,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
  tooBig: 0x8000_0009,
  extendedHeadersRequired: 0x8000_000a,
} as const;

export const info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** What an export can do. */
export const exportFlag = {
  hasFlags: 1,
  readOnly: 2,
  flush: 4,
  fua: 8,
  trim: 32,
  writeZeroes: 64,
  df: 128,
  multiConn: 256,
  cache: 1024,
  fastZero: 2048,
} as const;

export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const commandFlag = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16, payloadLength: 32 } as const;

export const replyFlag = { done: 1 } as const;

export const chunk = {
  none: 0,
  offsetData: 1,
  blockStatus: 5,
  blockStatusExtended: 6,
  error: 0x8001,
} as const;

/** Of an extent of base:allocation. */
export const extentFlag = { hole: 1, zero: 2 } as const;

/** Bytes of each. */
export const bytesOf = {
  greeting: 18,
  clientFlags: 4,
  optionHeader: 16,
  optionReplyHeader: 20,
  request: 28,
  extendedRequest: 32,
  simpleReply: 16,
  structuredReply: 20,
  extendedReply: 32,
} as const;

/** The one metadata context that there is, and its number. */
export const allocationContext = { name: 'base:allocation', id: 1 } as const;

export const limits = {
  /** Of a string: more than any client sends. */
  stringBytes: 4096,
  /** The data of an option. */
  optionBytes: 65_536,
  /** Options of one negotiation: the longest that was seen has 6. */
  options: 64,
  /** The largest read, and payload of a write: what every client takes for the default. */
  payloadBytes: 2 ** 25,
  /** Extents in one answer. */
  extents: 8192,
} as const;
