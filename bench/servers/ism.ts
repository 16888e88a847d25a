// What is at the other end while ISM streams are measured, told what to be: 'fabric' serves two functions in a folder; 'sink'
// and 'echo' answer on function 1 of one ('direct-sink' and 'direct-echo' by lanes), or as a socket of node:net where the floor is measured;
// with 'into' a sink reads into one memory, and where that is a socket's, it connects, because a server's cannot;
// 'console' and 'direct-console' serve one there. Each lives until its standard input ends. Started by suites/ism.ts.
//
// A sink answers one byte for each so many that it has taken, so that whoever sends knows when all have come. An echo sends
// back what it gets.
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import type * as ismio from 'ismio';
import type * as consoles from 'ismio/console';
import type * as stack from 'ismio/device';
import type * as ism from 'ismio/ism';

const [duty, place, every, ...urls] = process.argv.slice(2) as [string, string, string, ...string[]];
const [engineURL, deviceURL, ismURL, consoleURL] = urls;

const pieceBytes = 65_536;

function answer(stream: Duplex): void {
  stream.on('error', () => stream.destroy());
  if (duty.endsWith('echo')) {
    stream.on('data', (bytes: Buffer) => stream.write(bytes));
    return;
  }
  const take = sink(stream);
  const told = (bytes: Uint8Array): void => take(bytes.length);
  // Builds from before there was a way to read into one memory are compared with newer ones, too.
  if (duty.includes('into') && 'readInto' in stream)
    (stream as ism.IsmStream).readInto(new Uint8Array(pieceBytes), told);
  else stream.on('data', told);
}

/** @returns what is told how much has come */
function sink(stream: Duplex): (length: number) => void {
  let left = Number(every);
  return (length) => {
    left -= length;
    for (; left <= 0; left += Number(every)) stream.write(Uint8Array.of(1));
  };
}

/** A sink that reads from a socket into one memory. */
function connectInto(): () => unknown {
  let take: (length: number) => void = () => undefined;
  const buffer = new Uint8Array(pieceBytes);
  const callback = (length: number): boolean => {
    take(length);
    return true;
  };
  const socket = connect({ path: place, noDelay: true, onread: { buffer, callback } });
  take = sink(socket);
  socket.on('error', () => socket.destroy());
  return () => socket.destroy();
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
  if (duty === 'net-into-sink') return connectInto();
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
