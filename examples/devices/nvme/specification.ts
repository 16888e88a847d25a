// What NVM Express calls its registers, commands and fields, seen from the controller. Source: NVM Express Base Specification 1.4;
// the number of the section stands behind each. The driver has a table of its own (../../nvme/registers.ts): what one of them
// has wrong, the other does not understand.

/** Offsets in BAR 0 (3.1). */
export const register = {
  capabilities: 0x00,
  version: 0x08,
  interruptMaskSet: 0x0c,
  interruptMaskClear: 0x10,
  configuration: 0x14,
  status: 0x1c,
  adminQueueAttributes: 0x24,
  adminSubmissionQueue: 0x28,
  adminCompletionQueue: 0x30,
  doorbells: 0x1000,
} as const;

/** Controller configuration, CC (3.1.5). */
export const configuration = {
  enable: 1,
  shutdown: 3 << 14,
  /** Command set, page size, arbitration: the only ones there are here have the value 0. */
  fixed: (7 << 4) | (0xf << 7) | (7 << 11),
  /** Sizes of the entries of I/O queues, as powers of two. */
  entrySizes: 0xff << 16,
  entrySizesThere: (6 << 16) | (4 << 20),
} as const;

/** Controller status, CSTS (3.1.6). */
export const status = { ready: 1, fatal: 2, shutdown: 3 << 2, shuttingDown: 1 << 2, shutDown: 2 << 2 } as const;

/** Lengths in bytes. Pages are of the one size that CAP.MPSMIN and CAP.MPSMAX leave. */
export const bytesOf = { submission: 64, completion: 16, page: 4096, identify: 4096, range: 16 } as const;

/** What this controller can do, as CAP and Identify Controller say it. */
export const limit = {
  /** Entries of a queue: CAP.MQES. */
  entries: 1024,
  /** Entries of the admin queues: AQA has 12 bits of each (3.1.8). */
  adminEntries: 4096,
  /** Bytes of one command, 4096 * 2^7: MDTS. */
  transferExponent: 7,
  transfer: 4096 << 7,
  /** Asynchronous events that may be waited for at once: AERL. */
  events: 4,
  /** Errors that are remembered: ELPE. */
  errors: 16,
  /** Namespaces that there could be: NN. There is the first. */
  namespaces: 256,
} as const;

/** Opcodes of the admin command set (5). */
export const admin = {
  deleteSubmissionQueue: 0x00,
  createSubmissionQueue: 0x01,
  getLogPage: 0x02,
  deleteCompletionQueue: 0x04,
  createCompletionQueue: 0x05,
  identify: 0x06,
  abort: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asynchronousEvent: 0x0c,
  keepAlive: 0x18,
  doorbellBuffers: 0x7c,
} as const;

/** Opcodes of the NVM command set (6). */
export const io = { flush: 0x00, write: 0x01, read: 0x02, writeZeroes: 0x08, datasetManagement: 0x09 } as const;

/** Do Not Retry: the same command would fail again (4.6.1). */
const final = 0x4000;

/** Status fields of completions without their phase bit (4.6.1): type in bits 8 to 10, code in bits 0 to 7. */
export const outcome = {
  success: 0,
  invalidOpcode: final | 0x01,
  invalidField: final | 0x02,
  /** Data could not be moved to the host's memory or from there. */
  dataTransfer: 0x04,
  internal: 0x06,
  abortRequested: 0x07,
  invalidNamespace: final | 0x0b,
  sequence: final | 0x0c,
  invalidPageOffset: final | 0x13,
  keepAliveExpired: 0x14,
  writeProtected: final | 0x20,
  outOfRange: final | 0x80,
  capacityExceeded: final | 0x81,
  invalidCompletionQueue: final | 0x100,
  invalidQueueId: final | 0x101,
  invalidQueueSize: final | 0x102,
  tooManyEvents: final | 0x105,
  invalidVector: final | 0x108,
  invalidLogPage: final | 0x109,
  invalidQueueDeletion: final | 0x10c,
  notSaveable: final | 0x10d,
  notChangeable: final | 0x10e,
  notOfNamespace: final | 0x10f,
  writeFault: 0x280,
  unrecoveredRead: 0x281,
} as const;

/** What is to be told of (5.15.1). */
export const identify = { namespace: 0, controller: 1, activeNamespaces: 2, descriptors: 3 } as const;

/** Numbers of log pages (5.14.1). */
export const logPage = { errors: 1, health: 2, firmware: 3 } as const;

/** Numbers of features (5.21.1). */
export const feature = {
  arbitration: 0x01,
  power: 0x02,
  temperature: 0x04,
  errorRecovery: 0x05,
  writeCache: 0x06,
  queues: 0x07,
  coalescing: 0x08,
  vector: 0x09,
  atomicity: 0x0a,
  events: 0x0b,
  keepAlive: 0x0f,
} as const;

/** Asynchronous events, as a completion's dword 0 has them (5.2.1): errors that the log page of errors tells of. */
export const event = {
  noSuchDoorbell: 0x00 << 8,
  invalidDoorbell: 0x01 << 8,
  type: 7,
  ofErrors: logPage.errors << 16,
} as const;

/** Every namespace, where a command takes that. */
export const everyNamespace = 0xffff_ffff;
