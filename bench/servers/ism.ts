// What is at the other end while ISM streams are measured, told what to be: 'fabric' serves two functions in a folder; 'sink'
// and 'echo' answer on function 1 of one ('direct-sink' and 'direct-echo' by lanes), or as a socket of node:net where the floor is measured;
// 'console' and 'direct-console' serve one there. Each lives until its standard input ends. Started by suites/ism.ts.
//
// A sink answers one byte for each so many that it has taken, so that whoever sends knows when all have come. An echo sends
// back what it gets.
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type * as ismio from 'ismio';
import type * as consoles from 'ismio/console';
import type * as stack from 'ismio/device';
import type * as ism from 'ismio/ism';

const [duty, place, every, ...urls] = process.argv.slice(2) as [string, string, string, ...string[]];
const [engineURL, deviceURL, ismURL, consoleURL] = urls;

function answer(stream: Duplex): void {
  let left = Number(every);
  stream.on('error', () => stream.destroy());
  stream.on('data', (bytes: Buffer) => {
    if (duty.endsWith('echo')) {
      stream.write(bytes);
      return;
    }
    left -= bytes.length;
    for (; left <= 0; left += Number(every)) stream.write(Uint8Array.of(1));
  });
}

/** A line that says what is typed. */
const echoes: consoles.OpenLine = (listener) => ({
  title: 'an echo',
  write: (bytes) => {
    listener.output(bytes);
    return true;
  },
  close: () => undefined,
});

/** @returns what ends it */
async function begin(): Promise<() => unknown> {
  if (duty.startsWith('net')) {
    const server = createServer({ noDelay: true }, answer);
    await new Promise<void>((resolve) => server.listen({ path: place }, resolve));
    return () => server.close();
  }
  const { createFabric, openIsm } = (await import(ismURL as string)) as typeof ism;
  if (duty === 'fabric') {
    const { serve } = (await import(deviceURL as string)) as typeof stack;
    const fabric = createFabric({ direct: true }); // drivers that are not go through it
    for (const number of [0, 1]) {
      await serve(fabric.function({ gid: BigInt(number + 1) }), { path: `${place}/${number}.sock` });
    }
    return () => fabric.close();
  }
  const { openVfioUser } = (await import(engineURL as string)) as typeof ismio;
  const driver = await openIsm(openVfioUser(`${place}/1.sock`), { direct: duty.startsWith('direct') });
  if (duty.endsWith('console')) {
    const { serveConsoles } = (await import(consoleURL as string)) as typeof consoles;
    await serveConsoles(driver, { consoles: [{ line: echoes }] });
  } else {
    driver.listen(1, { ring: 524_288 }, answer);
  }
  return () => driver.close();
}

const end = await begin();
process.stdin.resume().on('end', () => {
  end();
  process.exit();
});
process.stdout.write('ready\n');
