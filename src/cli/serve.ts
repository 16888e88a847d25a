// ismio serve: a device that a module describes, at a socket of vfio-user, until it is ended.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Device, ServeOptions, VfioUserServer } from 'ismio/device';
import { IsmioError, shown } from '../support/errors.js';
import { atExit } from '../support/exit.js';
import { packageRoot } from '../support/package.js';
import { usageError } from './failure.js';
import { sayInJson, sayInWords, signalled } from './lasting.js';

interface Options {
  example?: string;
  socket: string;
  mode?: number;
  json?: boolean;
}

const notes = `
MODULE is a file of JavaScript whose default export is a device of ismio/device (defineDevice), or a function that makes one.
Who may connect has to be able to write to the socket: it is its owner's alone, unless --mode says otherwise. There is one
driver at a time; when it has gone, the next may come. SIGINT, SIGTERM and a device that closes itself end it.

Drivers:
  ismio info vfio-user:PATH                  what the device says of itself
  openVfioUser(PATH)                         from a program
  qemu-system-x86_64 .. -object memory-backend-memfd,id=m,size=1G,share=on -machine q35,memory-backend=m
    -device '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"PATH"}}'      a guest's kernel (QEMU 10.1 or later)

Examples:
  ismio serve timer.mjs --socket /run/user/1000/timer.sock
  ismio serve --example edu --socket /tmp/edu.sock
  ismio serve --example serial --socket /tmp/serial.sock     this terminal is the other end of its line`;

export function serveCommand(): Command {
  return new Command('serve')
    .summary('serve a device that a module describes over vfio-user')
    .description('serve a PCI function that a module describes to a driver in another process, or in a guest of QEMU')
    .argument('[module]', 'a file of JavaScript that exports the device')
    .addOption(new Option('--example <name>', 'one of the package’s own devices').choices(exampleNames()))
    .requiredOption('--socket <path>', 'where the socket is made; one that nobody listens to is replaced')
    .option('--mode <octal>', 'the rights of the socket (default: 600)', parseMode)
    .option('--json', 'print what happens as JSON, a line each')
    .addHelpText('after', notes)
    .action(serveModule);
}

async function serveModule(module: string | undefined, options: Options): Promise<void> {
  if ((module === undefined) === (options.example === undefined)) {
    throw usageError('serve takes a MODULE, or --example NAME');
  }
  const file = options.example === undefined ? moduleFile(module as string) : exampleFile(options.example);
  const device = await deviceOf(file);
  const { serve } = await deviceModule(file);
  const { socket: path, mode } = options;
  const server = await serve(device, { path, signal: signalled(), ...(mode === undefined ? {} : { mode }) });
  atExit(() => void server.close()); // whoever ends this process: its socket goes with it
  const say = options.json === true ? sayInJson : sayInWords;
  device.on('error', (error) => say('error', { message: error.message }));
  server.on('client', ({ pid, uid }) => say('client', { pid, uid }));
  server.on('gone', () => say('gone', {}));
  server.on('refused', ({ errno }) => say('refused', { errno }));
  server.on('error', (error) => say('error', { message: error.message }));
  const closed = new Promise<void>((resolve) => server.on('close', resolve)); // by a signal, or with its device
  say('serving', { device: device.name, path: server.path });
  await closed;
  say('ended', { ...server.stats() });
  device.close();
  process.exit(); // whatever the module keeps running
}

/** That of the module's own installation of the package, whose devices it makes; or of this one. */
async function deviceModule(
  file: string,
): Promise<{ serve(device: Device, options: ServeOptions): Promise<VfioUserServer> }> {
  const require = createRequire(file);
  let own: string;
  try {
    own = require.resolve('ismio/device');
  } catch {
    return import('ismio/device');
  }
  return require(own);
}

async function deviceOf(file: string): Promise<Device> {
  const made = await madeBy(file);
  if (typeof made === 'object' && made !== null && 'dma' in made && 'interrupt' in made) return made as Device;
  throw moduleError(file, `has no device as its default export, nor a function that makes one: ${shown(made)}`);
}

async function madeBy(file: string): Promise<unknown> {
  try {
    const exported = (await import(pathToFileURL(file).href)) as { default?: unknown };
    return typeof exported.default === 'function' ? await exported.default() : exported.default;
  } catch (cause) {
    const { name = 'thrown', message = String(cause) } = (cause ?? {}) as Partial<Error>;
    throw moduleError(file, `gives no device: ${name}: ${message}`, cause);
  }
}

function moduleError(path: string, problem: string, cause?: unknown): IsmioError {
  return new IsmioError('ERR_ISMIO_MODULE', `${path} ${problem}`, { path }, cause);
}

function moduleFile(module: string): string {
  const stat = statSync(module, { throwIfNoEntry: false });
  if (stat === undefined) throw usageError(`there is no file ${module} with a device`);
  if (stat.isDirectory()) throw usageError(`${module} is a folder; serve takes the file of a module`);
  return resolve(module);
}

function parseMode(text: string): number {
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8);
  throw new InvalidArgumentError('It has to be three octal digits, such as 660.');
}

function exampleNames(): string[] {
  const folder = join(packageRoot, 'examples', 'devices');
  if (!existsSync(folder)) return [];
  // Those of an example alone have names of two words.
  return readdirSync(folder)
    .filter((name) => /^[a-z]+\.ts$/.test(name) && name !== 'uart.ts')
    .map((name) => name.replace('.ts', ''));
}

function exampleFile(name: string): string {
  return join(packageRoot, 'dist', 'examples', 'devices', `${name}.js`);
}
