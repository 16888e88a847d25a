// ismio console web: a console as a page in the browser.
import { Command, InvalidArgumentError } from 'commander';
import { addPeerOptions, commonOf, opener, type PeerOptions } from './function-options.js';
import { print } from './output.js';

interface Options extends PeerOptions {
  listen?: Listen;
  hostName?: string[];
  view?: boolean;
  json?: boolean;
}

interface Listen {
  readonly host: string;
  readonly port: number;
}

const notes = `
The address that is printed has a token, which is good once: the browser that comes with it has a cookie from then on. Enter prints
another one. HTTP hides nothing: for anything but this machine, put it behind a server that has TLS, and name that with --host-name.
SIGINT and SIGTERM end it.

Example:
  ismio console web --device vfio-user:/tmp/fabric/1.sock --peer 1`;

export function webCommand(): Command {
  return addPeerOptions(new Command('web'))
    .description('show a console as a page in the browser, to this machine alone unless told otherwise')
    .argument('[name]', 'which console, where there are several')
    .option('--listen <address>', 'HOST:PORT, or PORT (default: 127.0.0.1, any port)', parseListen)
    .option('--host-name <name...>', 'what else browsers may call this machine')
    .option('--view', 'pages look on, and never write')
    .option('--json', 'print what happens as JSON, a line each')
    .addHelpText('after', notes)
    .action(serveWeb);
}

const anyPort: Listen = { host: '127.0.0.1', port: 0 };

async function serveWeb(name: string | undefined, options: Options): Promise<void> {
  const { attachConsole } = await import('ismio/console');
  const { serveConsolePage } = await import('../console/web/server.js');
  const { view, listen = anyPort, hostName, peer } = options;
  const ism = await (await opener(options))();
  const role = view === true ? 'view' : 'write';
  const wishes = { ...commonOf(options), role, ...(name !== undefined && { name }) } as const;
  // A console that is not to be had is told before there is a page.
  (await attachConsole(ism, peer, { ...wishes, role: 'view', replay: 'none' })).close();
  const open = () => attachConsole(ism, peer, wishes);
  const server = await serveConsolePage({ open, ...listen, ...(hostName !== undefined && { names: hostName }) });
  const say = (): void => {
    if (options.json === true) print(JSON.stringify({ event: 'ready', url: server.invite() }));
    else print(server.invite());
  };
  say();
  if (process.stdin.isTTY) process.stdin.on('data', say).unref();
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    ism.once('lost', () => resolve());
  });
  await server.close();
  ism.close();
  process.exit();
}

function parseListen(text: string): Listen {
  const [, host = '127.0.0.1', digits = ''] = /^(?:(.+):)?([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits !== '' && port <= 65_535) return { host: host.replace(/^\[(.*)\]$/, '$1'), port };
  throw new InvalidArgumentError('It has to be HOST:PORT or PORT.');
}
