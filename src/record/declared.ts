// The regions and queues that a recording has opened so far: an operation is of one of these.
import { type ByteReader, Damage } from './bytes.js';
import { largestNumber, limits, mergeWords, orderWords, pieceBytes } from './format.js';
import type { RecordedQueue, RecordedRegion } from './run.js';

const largestSize = 2 ** 48;

interface OpenQueue {
  readonly queue: RecordedQueue;
  /** Its drains that have not ended. */
  drains: number;
}

export class Declared {
  readonly #regions = new Map<number, RecordedRegion>();
  readonly #queues = new Map<number, OpenQueue>();

  region(number: number): RecordedRegion {
    const region = this.#regions.get(number);
    if (region === undefined) throw new Damage(`there is no region ${number}`);
    return region;
  }

  /** A queue that can be used. */
  queue(number: number): RecordedQueue {
    const { queue } = this.#openQueue(number);
    const { region } = queue;
    if (this.#regions.get(region.number) === region) return queue;
    throw new Damage(`the region of queue ${number} is closed`);
  }

  closeRegion(number: number): RecordedRegion {
    const region = this.region(number);
    this.#regions.delete(number);
    return region;
  }

  closeQueue(number: number): RecordedQueue {
    const { queue } = this.#openQueue(number);
    this.#queues.delete(number);
    return queue;
  }

  drained(number: number): void {
    this.#openQueue(number).drains++;
  }

  /** The oldest drain of the queue has ended. */
  settled(number: number): RecordedQueue {
    const open = this.#openQueue(number);
    if (open.drains-- === 0) throw new Damage(`queue ${number} has no drain that could have ended`);
    return open.queue;
  }

  defineRegion(number: number, reader: ByteReader): RecordedRegion {
    const size = reader.varint('the size of a region', largestSize);
    const traits = reader.varint('the traits of a region', 31);
    const maxStoreBlock = reader.varint('maxStoreBlock', pieceBytes);
    const boundary = reader.varint('boundary', pieceBytes);
    const name = reader.text('the name of a region', limits.name);
    if (size < 1) throw new Damage('a region of no size');
    if (maxStoreBlock < 8) throw new Damage(`maxStoreBlock cannot be ${maxStoreBlock}`);
    if (boundary < 8 || (boundary & (boundary - 1)) !== 0) throw new Damage(`boundary cannot be ${boundary}`);
    checkNew(this.#regions, number, 'region', limits.regions);
    const region: RecordedRegion = {
      number,
      name: name.replaceAll('\0', ''),
      size,
      kind: (traits & 1) !== 0 ? 'memory' : 'device',
      writable: (traits & 2) !== 0,
      rules: {
        maxStoreBlock,
        boundary,
        alignment: (traits & 4) !== 0 ? 'strict' : 'relaxed',
        merge: (traits & 8) !== 0 ? 'registers' : 'window',
        singleStores: (traits & 16) === 0,
      },
    };
    this.#regions.set(number, region);
    return region;
  }

  defineQueue(number: number, reader: ByteReader): RecordedQueue {
    const region = this.region(reader.varint('the region of a queue', largestNumber));
    const depth = reader.varint('the depth of a queue', 1 << 20);
    const merge = mergeWords[reader.varint('merge', mergeWords.length - 1)] as RecordedQueue['merge'];
    const order = orderWords[reader.varint('order', orderWords.length - 1)] as RecordedQueue['order'];
    if (depth < 1) throw new Damage('a queue of no depth');
    checkNew(this.#queues, number, 'queue', limits.queues);
    const queue = { number, region, depth, merge, order };
    this.#queues.set(number, { queue, drains: 0 });
    return queue;
  }

  /** A queue that has not ended: when its region is closed it still does what was in flight. */
  #openQueue(number: number): OpenQueue {
    const open = this.#queues.get(number);
    if (open === undefined) throw new Damage(`there is no queue ${number}`);
    return open;
  }
}

function checkNew(known: ReadonlyMap<number, unknown>, number: number, what: string, most: number): void {
  if (known.has(number)) throw new Damage(`${what} ${number} is there twice`);
  if (known.size === most) throw new Damage(`more than ${most} ${what}s at once`);
}
