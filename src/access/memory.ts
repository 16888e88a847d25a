// Buffers that the engine reads without a copy.
import { constants } from 'node:buffer';
import { types } from 'node:util';
import { native, noView } from '../addon/binding.js';
import { checkFlag, checkOptions, checkWhole } from '../support/check.js';
import { type ErrorValues, IsmioError, rangeError, shown, systemError, typeError } from '../support/errors.js';

/**
 * Bytes in an ArrayBuffer of their own: Uint8Array<ArrayBuffer>, and plain Uint8Array before TypeScript 5.7, which does not
 * know it as generic.
 */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['of']>;

/** How `allocBuffer` makes its memory. */
export interface AllocOptions {
  /**
   * Over a SharedArrayBuffer: every thread that the buffer is posted to has the same memory, and uses it without a copy. Its
   * pages are taken from the system at once. Default false.
   */
  shared?: boolean;
}

/** Bytes in a SharedArrayBuffer, whose `buffer` TypeScript before 5.7 takes for an ArrayBufferLike. */
export type SharedBytes = Uint8Array & { readonly buffer: SharedArrayBuffer };

/** A buffer of `allocBuffer`, which can be freed by hand: `using buffer = allocBuffer(4096)`. */
export type FreeableBuffer = OwnBytes & { [Symbol.dispose](): void };

/** Memory of the addon: its number, under which any thread's addon finds it, and the bytes that were asked for. */
interface Known {
  readonly id: number;
  readonly size: number;
}

/** Null: asked for, and none of ours. */
const known = new WeakMap<ArrayBufferLike, Known | null>();

/** What one WebAssembly memory can have: 65,536 pages of 64 KiB. */
const wasmPage = 65_536;
const mostShared = 2 ** 32;

const unseen = new FinalizationRegistry<number>((size) => native.unseen(size));

/**
 * Page-aligned memory, zeroed: `queue.write` and the pool take it without a copy, and it can be mapped for DMA. It is given
 * back when it is freed by hand (`freeBuffer`, or `using`) or when it has been garbage-collected, and no operation in flight
 * uses it. Node.js gives back what was collected between two turns of the event loop: a loop without turns frees by hand.
 * @param bytes 1 to what an ArrayBuffer of this Node.js can have (buffer.constants.MAX_LENGTH); shared, 1 to 2^32
 * @throws RangeError ERR_ISMIO_OPTION; IsmioError ERR_ISMIO_NO_MEMORY where the system has none left,
 * ERR_ISMIO_NO_EXTERNAL_BUFFERS in a runtime that lets no addon make buffers of its own, such as Electron, and
 * ERR_ISMIO_RUNTIME where this JavaScript runtime has no shared ones
 */
export function allocBuffer(bytes: number, options?: { shared?: false }): FreeableBuffer;
export function allocBuffer(bytes: number, options: { shared: true }): SharedBytes;
export function allocBuffer(bytes: number, options: AllocOptions): Uint8Array;
export function allocBuffer(bytes: number, options: AllocOptions = {}): Uint8Array {
  checkOptions(options, ['shared'], 'allocBuffer');
  const shared = checkFlag(options.shared ?? false, 'shared');
  const size = checkWhole(bytes, 'bytes');
  const most = shared ? Math.min(mostShared, constants.MAX_LENGTH) : constants.MAX_LENGTH;
  if (size < 1 || size > most) {
    const why = shared ? 'the most that can be shared' : 'the most that this Node.js takes';
    throw rangeError('ERR_ISMIO_OPTION', `bytes must be from 1 to ${most}, ${why}, not ${size}`, { bytes });
  }
  return shared ? allocShared(size) : allocOwn(size);
}

function allocOwn(size: number): FreeableBuffer {
  const made = native.allocate(size);
  if (typeof made === 'number') throw noSharedMemory(made, `${size} bytes of memory`, { bytes: size });
  known.set(made.buffer, { id: made.id, size });
  const view = new Uint8Array(made.buffer);
  return Object.defineProperty(view, Symbol.dispose, { value: dispose }) as FreeableBuffer;
}

function dispose(this: Uint8Array): void {
  freeBuffer(this);
}

/**
 * Node-API has no SharedArrayBuffer over given memory. But the one of a WebAssembly memory begins at a page and never moves,
 * and V8 gives it back by unmapping it whole, whatever is mapped there: a memfd takes the place of its pages. JavaScriptCore
 * keeps such pages for the next WebAssembly memory, which would then be ours.
 */
function allocShared(size: number): SharedBytes {
  if (process.versions['bun'] !== undefined) {
    throw noSuch('its engine, JavaScriptCore, gives the pages of a SharedArrayBuffer to others later', size);
  }
  const { WebAssembly: wasm }: { WebAssembly?: Wasm } = globalThis as object;
  if (wasm === undefined) throw noSuch('it has no WebAssembly (--jitless), whose memory is shared here', size);
  const pages = Math.ceil(size / wasmPage);
  let buffer: SharedArrayBuffer;
  try {
    buffer = new wasm.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
  } catch (error) {
    throw noMemory(size, error);
  }
  const view = new Uint8Array(buffer, 0, size) as SharedBytes;
  const id = native.share(view);
  if (id < 0) throw noMemory(size, systemError(-id, 'memfd_create, fallocate or mmap'));
  known.set(buffer, { id, size });
  unseen.register(buffer, size);
  return view;
}

interface Wasm {
  Memory: new (of: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer };
}

/**
 * Gives a buffer of `allocBuffer` back now: it and all views of its memory are detached (of length 0). What is queued or in
 * flight keeps the memory until it has ended. Again: does nothing. Shared memory goes by itself, when no thread has it.
 * @throws RangeError ERR_ISMIO_OPTION for memory that is shared or not of allocBuffer; IsmioError ERR_ISMIO_RUNTIME where this
 * JavaScript runtime detaches no buffer of an addon
 */
export function freeBuffer(buffer: Uint8Array): void {
  if (!types.isUint8Array(buffer)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `buffer must be a Uint8Array of allocBuffer, not ${shown(buffer)}`, {
      buffer,
    });
  }
  const memory = buffer.buffer;
  if (types.isSharedArrayBuffer(memory)) {
    throw rangeError('ERR_ISMIO_OPTION', 'shared memory cannot be taken from other threads; let go of it everywhere');
  }
  const found = known.get(memory);
  if (found == null) {
    const text = 'only a buffer of allocBuffer, of this copy of the package, can be freed by hand; this one is none';
    throw rangeError('ERR_ISMIO_OPTION', text);
  }
  if (memory.byteLength === 0) return;
  if (!native.free(memory as ArrayBuffer, found.id)) {
    throw noSuch(
      'it does not let an addon detach its own buffer; let go of the buffer, and it is collected',
      found.size,
    );
  }
}

/** Why the addon could not give memory that JavaScript sees as well: one of noView. */
export function noSharedMemory(why: number, what: string, values: ErrorValues): IsmioError {
  if (why !== noView.noExternalBuffers) {
    return new IsmioError('ERR_ISMIO_NO_MEMORY', `the system has no memory left for ${what}`, values);
  }
  const text =
    `no ${what}: this runtime allows no external buffers, as Electron does since its version 21. Queues, pools and ` +
    'allocBuffer are made of such; what a region does by itself works. Run ismio in a process of Node.js instead';
  return new IsmioError('ERR_ISMIO_NO_EXTERNAL_BUFFERS', text, values);
}

/** The number under which any thread's addon finds this buffer's memory; undefined for memory that is not ours. */
export function memoryId(buffer: ArrayBufferLike): number | undefined {
  return memoryOf(buffer)?.id;
}

/** V8 copies shared memory word by word: 64 KiB took 2.6 µs where the addon took 0.7, a KiB as long as a call of the addon. */
const mostByV8 = 1024;

/** Copies all of the source into a target of the same length. */
export function copy(target: Uint8Array, source: Uint8Array): void {
  if (source.length <= mostByV8) target.set(source);
  else native.copy(target, source);
}

/** Of memory that another thread shared, and posted here, the addon knows the address. */
export function memoryOf(buffer: ArrayBufferLike): Known | undefined {
  const found = known.get(buffer);
  if (found !== undefined) return found ?? undefined;
  if (!types.isSharedArrayBuffer(buffer)) return undefined;
  const shared = native.sharedAt(new Uint8Array(buffer));
  known.set(buffer, shared ?? null);
  return shared;
}

function noMemory(bytes: number, cause?: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_NO_MEMORY', `the system has no ${bytes} bytes of memory left`, { bytes }, cause);
}

function noSuch(why: string, bytes: number): IsmioError {
  return new IsmioError('ERR_ISMIO_RUNTIME', `this JavaScript runtime cannot do that: ${why}`, { bytes });
}
