// The space and the locks of files, as the addon has it.
/** Of a range of a file, on another thread: `done` gets an errno, or 0. */
export type SpaceCall = (
  file: number,
  offset: number,
  length: number,
  done: (error: null, errno: number) => void,
) => void;

/** native/binding/space.cc. */
export interface NativeSpace {
  punch: SpaceCall;
  zero: SpaceCall;
  allocate: SpaceCall;
  readAhead: SpaceCall;
  /** A shared lock of the open file description (F_OFD_SETLK). EAGAIN where another has an exclusive one. */
  lockShared: SpaceCall;
  /** EAGAIN where another open file description has a lock there, shared or exclusive. */
  testLock: SpaceCall;
  /** Into `into`, where data begins, where it ends, and so on from the offset on, until the end of the range or of `into`. */
  extents(
    file: number,
    offset: number,
    length: number,
    into: Float64Array,
    done: (error: null, errno: number, count: number) => void,
  ): void;
}
