// The numbers by which a thread and its addon know a thing.
declare const kind: unique symbol;

/**
 * The number by which this thread's addon knows a thing. It never stands for another: not for one of another kind, and not
 * for one that comes later. A thing that was closed is found no more.
 */
export type Handle<Kind extends string> = number & { readonly [kind]: Kind };
export type RegionHandle = Handle<'region'>;
/** What was asked of a region that is closed. */
export type CountsHandle = Handle<'counts'>;
export type QueueHandle = Handle<'queue'>;
export type SignalHandle = Handle<'signal'>;
/** A device that this thread defined. */
export type FunctionHandle = Handle<'function'>;
/** What takes the stores to a BAR of one: a port of a fabric. */
export type PortHandle = Handle<'port'>;
/** What connects ports. */
export type FabricHandle = Handle<'fabric'>;
/** The signals of whoever owns the memory of a lane. */
export type BellHandle = Handle<'bell'>;
/** A device that is served over a socket. */
export type ServerHandle = Handle<'server'>;
/** An open file of VFIO. */
export type DescriptorHandle = Handle<'descriptor'>;
/** A socket to a device of another process. */
export type ConnectionHandle = Handle<'connection'>;

/** In place of the handle of what is closed: no thing has it. */
export const noHandle = 0 as never;
