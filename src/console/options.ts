// What serving and attaching can be told.
import { checkPort, type StreamOptions } from '../ism/stream/options.js';
import { checkKey } from '../ism/talk/key.js';
import { longestText } from '../ism/talk/messages.js';
import { checkSignal } from '../support/abort.js';
import { checkBetween, checkCallback, checkOptions, checkText, checkWord } from '../support/check.js';
import { rangeError, shown, typeError } from '../support/errors.js';
import { type ConsoleAccess, checkAccess } from './access.js';
import type { OpenLine } from './line.js';
import type { OnExit, RoomSetup } from './room.js';
import { checkSize } from './size.js';
import type { TerminalSize } from './view.js';
import { defaultPort, policies } from './wire.js';

/** A console that is to be served. */
export interface ConsoleOptions {
  /** What clients ask for. Default 'console'. */
  name?: string;
  /** Opens its line: `commandLine`, `serialLine`, `pipeLine`, or a program's own. */
  line: OpenLine;
  /** Bytes of output that are kept: 4096 to 2^30. Default 1 MiB. */
  history?: number;
  /** Until somebody with a window writes. Default 80 by 24. */
  size?: Partial<TerminalSize>;
  /** When its line ends: 'keep' what was said, 'restart' the line, or 'close' the console. Default 'keep'. */
  onExit?: OnExit;
  access?: ConsoleAccess;
}

/** What `serveConsoles` takes. */
export interface ServeConsolesOptions {
  consoles: readonly ConsoleOptions[];
  /** Of the function, 0 to 65535. Default 23. */
  port?: number;
  /** Who has it may attach; 16 bytes or more. Default: whoever is on the fabric. */
  key?: string | Uint8Array;
  /** Of the streams. */
  stream?: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  signal?: AbortSignal;
}

export interface Serving {
  readonly consoles: readonly RoomSetup[];
  readonly port: number;
  readonly key: Uint8Array | null;
  readonly stream: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  readonly signal: AbortSignal | undefined;
  readonly reopens: boolean;
}

const mebibyte = 2 ** 20;

export function checkServe(options: ServeConsolesOptions, reopens: boolean): Serving {
  checkOptions(options, ['consoles', 'port', 'key', 'stream', 'signal'], 'serveConsoles');
  const { consoles, port = defaultPort, key, stream = {}, signal } = options;
  if (!Array.isArray(consoles) || consoles.length === 0) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `consoles must be an array of at least one, not ${shown(consoles)}`, {});
  }
  const setups = consoles.map(checkConsole);
  const names = setups.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined)
    throw rangeError('ERR_ISMIO_OPTION', `two consoles have the name '${twice}'`, { name: twice });
  checkOptions(stream, ['ring', 'heartbeat'], 'stream');
  return {
    ...{ consoles: setups, port: checkPort(port), key: checkKey(key), stream, reopens },
    signal: checkSignal(signal, 'serveConsoles'),
  };
}

function checkConsole(options: ConsoleOptions): RoomSetup {
  checkOptions(options, ['name', 'line', 'history', 'size', 'onExit', 'access'], 'a console');
  const { name = 'console', line, history = mebibyte, size = {}, onExit = 'keep', access = {} } = options;
  checkCallback(line, 'line');
  if (line === undefined) throw typeError('ERR_ISMIO_ARGUMENT_TYPE', 'a console needs a line', {});
  return {
    name: checkName(name),
    open: line,
    history: checkBetween(history, 'history', 4096, 2 ** 30),
    size: checkSize(size),
    onExit: checkWord(onExit, 'onExit', policies),
    access: checkAccess(access),
  };
}

export function checkName(name: unknown): string {
  const text = checkText(name, 'name');
  if (text !== '' && Buffer.byteLength(text) <= longestText) return text;
  throw rangeError('ERR_ISMIO_OPTION', `name must have 1 to ${longestText} bytes, not ${shown(name)}`, { name });
}

/** Where a client begins: with the screen, with the last bytes, behind a position of a life, or with what comes. */
export type Replay = 'screen' | 'none' | { readonly last: number } | { readonly from: bigint; readonly life: bigint };

/** What `attachConsole` takes. */
export interface AttachOptions {
  /** Which of several consoles. Default: the only one. */
  name?: string;
  port?: number;
  /** Default 'write': to write if nobody else does, and to look on where somebody does. */
  role?: 'view' | 'write' | 'force';
  /** Told to whoever is made a viewer by 'force'. */
  reason?: string;
  /** Default 'screen'. */
  replay?: Replay;
  /** Of the window. Default 0 by 0: none. */
  size?: Partial<TerminalSize>;
  key?: string | Uint8Array;
  /** Milliseconds for which a console that was lost is looked for. Default 60000; 0: not at all. */
  reconnect?: number;
  stream?: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  signal?: AbortSignal;
}

export interface Attaching {
  readonly name: string;
  readonly port: number;
  readonly role: 'view' | 'write' | 'force';
  readonly reason: string;
  readonly replay: Replay;
  readonly size: TerminalSize;
  readonly key: Uint8Array | null;
  readonly reconnect: number;
  readonly stream: Pick<StreamOptions, 'ring' | 'heartbeat'>;
  readonly signal: AbortSignal | undefined;
}

const attachNames = ['name', 'port', 'role', 'reason', 'replay', 'size', 'key', 'reconnect', 'stream', 'signal'];

export function checkAttach(options: AttachOptions): Attaching {
  checkOptions(options, attachNames, 'attachConsole');
  const { name, port = defaultPort, role = 'write', reason = '', size = { columns: 0, rows: 0 } } = options;
  const { replay = 'screen', key, reconnect = 60_000, stream = {}, signal } = options;
  return {
    name: name === undefined ? '' : checkName(name),
    port: checkPort(port),
    role: checkWord(role, 'role', ['view', 'write', 'force']),
    reason: checkText(reason, 'reason'),
    replay: checkReplay(replay),
    size: checkSize(size),
    key: checkKey(key),
    reconnect: checkBetween(reconnect, 'reconnect', 0, 2 ** 31 - 1),
    stream,
    signal: checkSignal(signal, 'attachConsole'),
  };
}

function checkReplay(replay: Replay): Replay {
  if (replay === 'screen' || replay === 'none') return replay;
  checkOptions(replay, ['last', 'from', 'life'], 'replay');
  if ('last' in replay) checkBetween(replay.last, 'last', 0, 2 ** 30);
  else if (typeof replay.from !== 'bigint' || typeof replay.life !== 'bigint') {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', 'replay must have { last } or { from, life }, both bigints', { replay });
  }
  return replay;
}
