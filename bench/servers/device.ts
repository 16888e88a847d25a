// The process at the other end of a socket: serves a device until its standard input ends. Started by suites/vfio-user.ts.
//
// Told to listen, it has a bell: a driver rings by counting up the first word of BAR 2, which is memory that it maps, and is
// answered by an interrupt. This process looks at that word all the time while it is rung, so that nothing but the interrupt
// takes time.
import type * as ismio from 'ismio';
import type * as stack from 'ismio/device';

const [engineURL, deviceURL, path, duty] = process.argv.slice(2) as [string, string, string, 'listen' | 'serve'];
const { allocBuffer } = (await import(engineURL)) as typeof ismio;
const { defineDevice, serve } = (await import(deviceURL)) as typeof stack;

const bell = allocBuffer(4096, { shared: true });
const word = new Int32Array(bell.buffer, bell.byteOffset, 1);

const device = defineDevice({
  vendor: 0x1234,
  device: 0x0001,
  classCode: 0x088000,
  regions: {
    0: { size: 2 ** 18, memory: allocBuffer(2 ** 18, { shared: true }) },
    1: { size: 4096, load: () => 0x5a5a5a5a5a5a5a5an, store: () => undefined },
    2: { size: 4096, memory: bell },
  },
  interrupts: { msix: 1 },
});

/** Milliseconds without a ring, behind which it looks only once a millisecond. */
const attention = 2;
/** Looks between two at the clock. */
const looks = 1000;

let heard = 0;

function listen(): void {
  let until = performance.now() + attention;
  while (performance.now() < until) {
    for (let look = 0; look < looks; look++) {
      const rung = Atomics.load(word, 0);
      if (rung === heard) continue;
      heard = rung;
      device.interrupt('msix', 0);
      until = performance.now() + attention;
    }
  }
}

const server = await serve(device, { path });
const look = (): void => {
  if (Atomics.load(word, 0) !== heard) listen();
};
const listening = duty === 'listen' ? setInterval(look, 1) : undefined;
process.stdin.resume().on('end', () => {
  clearInterval(listening);
  void server.close();
});
process.stdout.write('ready\n');
