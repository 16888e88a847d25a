// A server that dies in the middle of a batch: mortal.js SOCKET serves the ISM function, and kills itself at the
// read of its BAR 0 that machine.ts names.
import { functions, mortalReads } from '../machine.js';
import { PciFunction } from './device.js';
import { serve } from './server.js';

class Mortal extends PciFunction {
  #left = mortalReads;

  override read(region: number, offset: bigint, length: number): Buffer | null {
    if (region === 0 && --this.#left === 0) process.kill(process.pid, 'SIGKILL');
    return super.read(region, offset, length);
  }
}

await serve(new Mortal(functions.orphan), process.argv[2] as string);
console.log('listening');
