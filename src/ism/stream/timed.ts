// What the station keeps the time of: streams, and those that are being opened.
import type { IsmioError } from '../../support/errors.js';

export interface Timed {
  /** The function at the other end. */
  readonly gid: bigint;
  /** When `tick` is to be called. */
  readonly deadline: number;
  tick(now: number): void;
  /** The peer's function has gone, or this end's driver was closed. */
  die(error: IsmioError): void;
}
