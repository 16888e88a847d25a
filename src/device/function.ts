// A function that this thread answers for: its BARs, configuration space and interrupts, behind the addon's half of it.
import { native } from '../addon/binding.js';
import { type FunctionHandle, noHandle } from '../addon/handles.js';
import { Handled } from '../addon/wire.js';
import { IsmioError, systemError } from '../support/errors.js';
import { type Answering, answerFor, forget, type Question } from './answers.js';
import { Bar, type Later, widest, word } from './bar.js';
import type { CheckedDescription } from './check.js';
import { Configuration } from './configuration.js';
import { MsixTable } from './msix.js';

/** VFIO_PCI_*_IRQ_INDEX. */
export const irqIndex = { intx: 0, msi: 1, msix: 2, err: 3, req: 4 } as const;

/** VFIO_PCI_CONFIG_REGION_INDEX. */
const configRegion = 7;
/** As many as a type 1 container takes (dma_entry_limit of Linux drivers/vfio/vfio_iommu_type1.c). */
const mostMappings = 65_535;

const noTable: Uint8Array = new Uint8Array(0);

/** What is told of a function. */
export interface FunctionEvents {
  opened(): void;
  closed(): void;
  reset(): void;
  refused(write: RefusedWrite): void;
  threw(error: unknown): void;
}

/** A write of its driver that a device refused, and of which the driver was told nothing: it was posted. */
export interface RefusedWrite {
  /** The BAR. */
  readonly region: number;
  readonly offset: number;
  readonly length: number;
  /** Why, by the name of what an answer would have said. */
  readonly errno: string;
}

export class DeviceFunction implements Answering {
  readonly description: CheckedDescription;
  readonly configuration: Configuration;
  readonly bars: ReadonlyMap<number, Bar>;
  readonly #events: FunctionEvents;
  readonly #number: number;
  readonly #msix: MsixTable | null;
  /** What ends with it: its servers. */
  readonly #ends = new Set<() => void>();
  #handle: FunctionHandle = noHandle;
  #refused = 0;
  #decodes = false;

  constructor(description: CheckedDescription, events: FunctionEvents) {
    this.description = description;
    this.#events = events;
    const { msix } = description;
    const pending = (vector: number) => native.devices.pending(this.#handle, irqIndex.msix, vector);
    this.#msix = msix === null ? null : new MsixTable(msix, pending);
    this.bars = new Map(
      description.bars.map((bar) => [bar.index, new Bar(bar, msix?.bar === bar.index ? this.#msix : null)]),
    );
    this.configuration = new Configuration(description, {
      changed: (decodes, masters) => this.#commanded(decodes, masters),
      wanted: () => this.reset(),
      refused: () => !this.closed && native.devices.refused(this.#handle),
    });
    this.#number = answerFor(this);
    this.#handle = this.#make();
  }

  /** @throws IsmioError ERR_ISMIO_CLOSED when the device was closed */
  get handle(): FunctionHandle {
    if (this.#handle !== noHandle) return this.#handle;
    throw new IsmioError('ERR_ISMIO_CLOSED', `device ${this.description.name} is closed`);
  }

  /** Whether accesses to BARs are answered. */
  get decodes(): boolean {
    return this.#decodes;
  }

  get closed(): boolean {
    return this.#handle === noHandle;
  }

  /** What its MSI-X table holds; nothing where it has none. */
  get msixTable(): Uint8Array {
    return this.#msix?.entries ?? noTable;
  }

  /** How many posted writes it has refused. */
  get refused(): number {
    return this.#refused;
  }

  /** Somebody has opened it; false where somebody else has it. */
  taken(): boolean {
    if (!native.devices.take(this.handle)) return false;
    try {
      this.#events.opened();
    } catch (error) {
      if (!this.closed) native.devices.letGo(this.#handle);
      throw error;
    }
    return true;
  }

  /** Does this while no driver can open it. @throws IsmioError ERR_ISMIO_DEVICE_BUSY where one has it open */
  alone(work: () => void): void {
    if (!native.devices.take(this.handle)) throw this.busy();
    try {
      work();
    } finally {
      if (!this.closed) native.devices.giveBack(this.#handle);
    }
  }

  /** The error of whoever finds it open. */
  busy(): IsmioError {
    const { name } = this.description;
    const text = `${name} is open already: a function has one driver at a time`;
    return new IsmioError('ERR_ISMIO_DEVICE_BUSY', text, { bdf: name });
  }

  /** Whoever had it open has gone: what it set up goes with it. */
  letGo(): void {
    if (this.closed) return;
    native.devices.letGo(this.#handle);
    this.configuration.reset();
    this.#events.closed();
  }

  reset(): void {
    this.#msix?.reset();
    this.description.reset();
    this.#events.reset();
  }

  /** Accesses to it find nothing from now on. */
  close(): void {
    if (this.closed) return;
    native.devices.raise(this.#handle, irqIndex.req, 0);
    forget(this.#number);
    native.devices.close(this.#handle);
    this.#decodes = false;
    this.#handle = noHandle;
    for (const end of this.#ends) end();
  }

  /** `end` is called when it is taken away; what this gives is called where that is of no use any more. */
  endWith(end: () => void): () => void {
    this.#ends.add(end);
    return () => this.#ends.delete(end);
  }

  threw(error: unknown): void {
    this.#events.threw(error);
  }

  answer(question: Question): Later<unknown> {
    const { kind, region, offset } = question;
    if (kind === Handled.reset) return this.reset();
    if (kind === Handled.arrived) return this.#events.opened();
    if (kind === Handled.gone) return this.letGo();
    if (kind === Handled.refused) return this.#posted(region, offset);
    if (region === configRegion) return this.#configure(question);
    const bar = this.bars.get(region);
    if (bar === undefined) throw new IsmioError('ERR_ISMIO_DEVICE', `there is no BAR ${region}`, { index: region });
    if (kind === Handled.storeBlock) return bar.storeBlock(offset, question.bytes as Uint8Array);
    const width = widest(offset, question.length);
    return kind === Handled.load ? bar.load(offset, width) : bar.store(offset, width);
  }

  #configure({ kind, offset, length, bytes }: Question): void {
    const moved = bytes ?? word.subarray(0, length);
    if (kind === Handled.load) this.configuration.read(offset, moved);
    else this.configuration.write(offset, moved);
  }

  #posted(region: number, offset: number): void {
    const [errno, length] = new Uint32Array(word.slice().buffer);
    this.#refused++;
    const { code } = systemError(errno as number, 'write');
    this.#events.refused({ region, offset, length: length as number, errno: code });
  }

  #commanded(decodes: boolean, masters: boolean): void {
    this.#decodes = decodes;
    if (!this.closed) native.devices.command(this.#handle, decodes, masters);
  }

  #make(): FunctionHandle {
    const { bars, intx, msi, msix } = this.description;
    const rows = bars.flatMap((bar) => {
      const { maxStoreBlock, boundary, alignment, merge, singleStores } = bar.rules;
      const answers = this.bars.get(bar.index)?.answers === true;
      const flags = [alignment === 'strict', merge === 'window', singleStores].map(Number);
      return [bar.index, bar.size, Number(answers), maxStoreBlock, boundary, ...flags];
    });
    const areas = bars.flatMap(({ index, areas }) =>
      areas.flatMap(({ offset, length, memory, position }) => [index, offset, length, memory, position]),
    );
    return native.devices.make(
      this.#number,
      Float64Array.from(rows),
      Float64Array.from(areas),
      this.configuration.bytes.length,
      Uint32Array.of(Number(intx), msi, msix?.vectors ?? 0, 1, 1),
      mostMappings,
      Float64Array.from(bars.flatMap(({ index, engine }) => (engine === null ? [] : [index, engine]))),
    );
  }
}
