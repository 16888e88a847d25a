// Lines that need nothing but Node.js: a pipe, and a serial line that stty has set.
import { execFile } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { checkBetween, checkPath } from '../support/check.js';
import { IsmioError } from '../support/errors.js';
import { Keys } from './keys.js';
import type { OpenLine } from './line.js';

/** A line of two streams: what comes from the one is output, and keys go to the other. It ends when the output does. */
export function pipeLine(output: Readable, keys: Writable | null, title = 'a pipe'): OpenLine {
  return (listener) => {
    output.on('data', (bytes: Uint8Array) => listener.output(bytes));
    output.once('error', () => undefined); // 'close' follows
    output.once('close', () => listener.ended({ status: 0, signal: null }));
    keys?.on('drain', () => listener.drained());
    keys?.on('error', () => undefined); // nobody reads keys any more; output goes on
    return {
      title,
      write: (bytes) => keys === null || keys.destroyed || keys.write(bytes),
      close: () => {
        output.destroy();
        keys?.end();
      },
    };
  };
}

/**
 * An existing terminal line, such as /dev/ttyS0, raw and 8-bit clean.
 * @param speed bits a second, as stty(1) knows them
 */
export function serialLine(path: string, speed = 115_200): OpenLine {
  const name = checkPath(path, 'path');
  checkBetween(speed, 'speed', 50, 4_000_000);
  return async (listener) => {
    await set(name, speed);
    const descriptor = opened(name);
    const input = new ReadStream(descriptor);
    const keys = new Keys(descriptor, () => listener.drained());
    input.on('data', (bytes: Uint8Array) => listener.output(bytes));
    input.on('error', () => undefined); // a line that was unplugged says EIO; 'close' follows
    input.on('close', () => {
      keys.close();
      listener.ended({ status: -1, signal: null });
    });
    return {
      title: `${name}, ${speed} bits a second`,
      write: (bytes) => keys.write(bytes),
      sendBreak: () => keys.sendBreak(),
      close: () => input.destroy(),
    };
  };
}

async function set(path: string, speed: number): Promise<void> {
  const words = ['-F', path, String(speed), 'raw', '-echo', 'cs8', 'cread', 'clocal', '-hupcl'];
  try {
    await promisify(execFile)('stty', words);
  } catch (cause) {
    const told = (cause as { stderr?: string }).stderr?.trim() || (cause as Error).message;
    throw noLine(`${path} cannot be set: ${told}`, { path, speed }, cause);
  }
}

function opened(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  } catch (cause) {
    throw noLine(`${path} cannot be opened: ${(cause as Error).message}`, { path }, cause);
  }
}

/** A line that cannot be had. */
export function noLine(text: string, values: Record<string, unknown>, cause?: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_CONSOLE_LINE', text, values, cause);
}
