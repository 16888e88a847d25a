// What a driver and an ISM function say to each other: commands and structures, one row each, big-endian throughout. Names and
// places are those of Linux drivers/s390/net/ism.h, the only public source; where it is silent, a row says that it is ours.

/** Where a field lies in its structure, in bytes, and how wide it is. */
export type Field = readonly [offset: number, width: 2 | 4 | 8];
export type Fields = Readonly<Record<string, Field>>;

/** What the fields of a structure hold: a bigint where 8 bytes are. */
export type ValuesOf<These extends Fields> = {
  -readonly [Name in keyof These]: These[Name] extends readonly [number, 8] ? bigint : number;
};

/** A request header (cmd, 2 bytes that are reserved, len), and that of a response (cmd, ret, len): struct ism_req_hdr, ism_resp_hdr. */
export const header = { cmd: [0, 4], ret: [4, 2], len: [6, 2] } as const satisfies Fields;
export const headerBytes = 8;

interface Command<Request extends Fields, Response extends Fields> {
  readonly name: string;
  readonly code: number;
  /** How long request and response are with their header, in bytes. */
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly request: Request;
  readonly response: Response;
}
export type AnyCommand = Command<Fields, Fields>;

function command<const Request extends Fields, const Response extends Fields>(
  name: string,
  code: number,
  request: Request,
  response: Response,
  behind = 0,
): Command<Request, Response> {
  return { name, code, requestBytes: endOf(request), responseBytes: endOf(response) + behind, request, response };
}

function endOf(fields: Fields): number {
  return Math.max(headerBytes, ...Object.values(fields).map(([offset, width]) => offset + width));
}

/** `union ism_qi` has this many VLAN ids of 16 bits behind its fields. */
export const vlanIds = 64;

export const commands = {
  registerSba: command('REG_SBA', 0x1, { sba: [8, 8] }, {}),
  registerIeq: command('REG_IEQ', 0x2, { ieq: [8, 8], len: [16, 8] }, {}),
  readGid: command('READ_GID', 0x3, {}, { gid: [8, 8] }),
  addVlanId: command('ADD_VLAN_ID', 0x4, { vlan_id: [8, 8] }, {}),
  deleteVlanId: command('DEL_VLAN_ID', 0x5, { vlan_id: [8, 8] }, {}),
  setVlan: command('SET_VLAN', 0x6, {}, {}),
  resetVlan: command('RESET_VLAN', 0x7, {}, {}),
  queryInfo: command(
    'QUERY_INFO',
    0x8,
    {},
    {
      version: [8, 4],
      max_len: [12, 4],
      ism_state: [16, 8],
      my_gid: [24, 8],
      sba: [32, 8],
      ieq: [40, 8],
      ieq_len: [48, 4],
      dmbs_owned: [56, 4],
      dmbs_used: [60, 4],
      vlan_required: [64, 4],
      vlan_nr_ids: [68, 4],
    },
    2 * vlanIds,
  ),
  queryRemoteGid: command('QUERY_RGID', 0x9, { rgid: [8, 8], vlan_valid: [16, 4], vlan_id: [20, 4] }, {}),
  registerDmb: command(
    'REG_DMB',
    0xa,
    { dmb: [8, 8], dmb_len: [16, 4], sba_idx: [20, 4], vlan_valid: [24, 4], vlan_id: [28, 4], rgid: [32, 8] },
    { dmb_tok: [8, 8] },
  ),
  unregisterDmb: command('UNREG_DMB', 0xb, { dmb_tok: [8, 8] }, {}),
  signalIeq: command('SIGNAL_IEQ', 0xe, { rgid: [8, 8], trigger_irq: [16, 4], event_code: [20, 4], info: [24, 8] }, {}),
  unregisterSba: command('UNREG_SBA', 0x11, {}, {}),
  unregisterIeq: command('UNREG_IEQ', 0x12, {}, {}),
} as const;

/** Where the VLAN ids of a response to QUERY_INFO begin. */
export const vlanIdsAt = 72;

export const commandByCode: ReadonlyMap<number, AnyCommand> = new Map(
  Object.values(commands).map((one) => [one.code, one]),
);

/** Return codes. 0 and 0xffff are of ism.h (ISM_ERROR); no public source has others: those between are ours. */
export const returnCodes = {
  done: 0,
  command: 0x101, // no such command
  length: 0x102, // a request that is not as long as its command's
  state: 0x103, // registered already, or not registered
  address: 0x104, // memory that is not where it is said to be, or a buffer that crosses 1 MiB
  index: 0x105, // an SBA index that is none, or is taken
  gid: 0x106, // no function of this GID is there
  token: 0x107, // no DMB of this function has this token
  vlan: 0x108, // a VLAN id that the function does not have, or none where one is required
  full: 0x109, // no more DMBs, or VLAN ids
  error: 0xffff, // the function is gone, or has not been asked anything yet
} as const;

/** What a return code says, in words. */
export function returnCodeText(code: number): string {
  const name = Object.entries(returnCodes).find(([, value]) => value === code)?.[0];
  const words: Record<string, string> = {
    command: 'it knows no such command',
    length: 'the request has the wrong length',
    state: 'it is registered already, or not registered',
    address: 'the memory is not mapped for it in one piece, or not aligned',
    index: 'the SBA index is none, or is taken',
    gid: 'no function of that GID is there',
    token: 'no DMB of this function has that token',
    vlan: 'the VLAN id is none of the function, or one is required',
    full: 'it has no room for more',
    error: 'the function is gone, or refused',
  };
  return (name && words[name]) ?? 'no public source says what this code means';
}

/** An event's type: struct ism_event, type. */
export const eventTypes = { dmb: 0, gid: 1, software: 2 } as const;
/** An event of a GID that has gone [seen of the hardware's firmware by Linux net/smc/smc_ism.c, ISM_EVENT_GID and its codes]. */
export const gidGone = 7;
/** An entry of the event queue: struct ism_event. */
export const eventEntry = {
  type: [0, 4],
  code: [4, 4],
  tok: [8, 8],
  time: [16, 8],
  info: [24, 8],
} as const satisfies Fields;

/** PCI ids of an ISM function (Linux drivers/s390/net/ism_drv.c). */
export const vendor = 0x1014;
export const device = 0x04ed;
/** Bytes of BAR 0, where moves go: 256 TiB (ism-vfio-pci; docs/semantics.md). */
export const windowBytes = 2 ** 48;
export const windowBar = 0;
export const commandBar = 2;
export const pageBytes = 4096;

/** DMBs: how many there are, the first that is used, how long one may be (ism.h, ISM_NR_DMBS and ISM_DMB_BIT_OFFSET; ism_drv.c). */
export const dmbSlots = 1920;
export const firstDmb = 32;
export const largestDmb = 2 ** 20;
export const colours = 16;

/** The signal bits area, one page: struct ism_sba. */
export const sba = { summary: 0x80, event: 0x40, bitsAt: 4, masksAt: 256 } as const;
/** The event queue: struct ism_eq. */
export const queue = { headerBytes: 32, entryBytes: 32, entries: 15, bytes: 512 } as const;

/** The VLAN id by which a driver says that it speaks SMC-Dv2 (Linux include/net/smc.h, ISM_RESERVED_VLANID). */
export const reservedVlan = 0x1fff;

/**
 * Where a move goes, as an offset in BAR 0: ISM_CREATE_REQ of ism.h.
 * @param start the token of a DMB, or what this function makes of it for offset 0
 */
export function movePlace(start: bigint | number, offset: number, signal?: number): number {
  const place = Number(start) + offset;
  return signal === undefined ? place : place + signal * 2 ** 24 + 2 ** 23;
}

/** Reads the fields of a structure. */
export function readFields<These extends Fields>(view: DataView, fields: These): ValuesOf<These> {
  const values: Record<string, number | bigint> = {};
  for (const [name, [offset, width]] of Object.entries(fields)) {
    if (width === 8) values[name] = view.getBigUint64(offset);
    else values[name] = width === 4 ? view.getUint32(offset) : view.getUint16(offset);
  }
  return values as ValuesOf<These>;
}

/** Writes the fields of a structure. */
export function writeFields<These extends Fields>(view: DataView, fields: These, values: ValuesOf<These>): void {
  for (const [name, [offset, width]] of Object.entries(fields)) {
    const value = values[name as keyof These];
    if (width === 8) view.setBigUint64(offset, value as bigint);
    else if (width === 4) view.setUint32(offset, value as number);
    else view.setUint16(offset, value as number);
  }
}
