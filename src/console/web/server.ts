// The page of a console: a terminal in the browser, on a server of its own. Whoever has the page has a console of their own that
// `open` made, and what they may do is that console's affair.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import { type WebSocket, WebSocketServer } from 'ws';
import { checkSignal, onAbort } from '../../support/abort.js';
import { checkBetween, checkCallback, checkOptions, checkText } from '../../support/check.js';
import { IsmioError, rangeError, shown, typeError } from '../../support/errors.js';
import { harmless } from '../../support/text.js';
import type { ConsoleView } from '../view.js';
import { filesOfPage, headersOfPage } from './files.js';
import { Guard } from './guard.js';
import { longestMessage } from './messages.js';
import { closing, Visit } from './visit.js';

/** What `serveConsolePage` takes. */
export interface ConsolePageOptions {
  /** Opens the console for a page: once for each page, and again where a page lost its server. */
  open: () => ConsoleView | Promise<ConsoleView>;
  /** The address to listen at. Default '127.0.0.1'. HTTP has no secrets: any other is for networks that are trusted. */
  host?: string;
  /** Default 0: any that is free. */
  port?: number;
  /** Names of this machine that browsers may ask for, besides `host` and those of the loopback. */
  names?: readonly string[];
  /** A token that is taken again and again, of 16 characters at least. Default: one at random, for one use. */
  token?: string;
  /** Pages that are open at a time. Default 16. */
  maxPages?: number;
  /** Closes the server. */
  signal?: AbortSignal;
}

const names = ['open', 'host', 'port', 'names', 'token', 'maxPages', 'signal'];
/** Milliseconds between two looks whether a page is still there. */
const heartbeat = 30_000;

interface PageSettings {
  readonly open: ConsolePageOptions['open'];
  readonly host: string;
  readonly port: number;
  readonly token: string | null;
  readonly guard: Guard;
  readonly maxPages: number;
}

/** A server that has the page of a console. Made by `serveConsolePage`. */
export class ConsolePageServer {
  readonly #settings: PageSettings;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #files = filesOfPage();
  readonly #visits = new Map<WebSocket, Visit | null>();
  readonly #heard = new WeakSet<WebSocket>();
  readonly #beat: NodeJS.Timeout;
  #port = 0;
  #closed: Promise<void> | null = null;

  /** @internal */
  constructor(settings: PageSettings) {
    this.#settings = settings;
    this.#http = createServer({ maxHeaderSize: 16_384, requestTimeout: 10_000 }, (request, response) =>
      this.#answer(request, response),
    );
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: longestMessage,
      perMessageDeflate: false,
      clientTracking: false,
    });
    this.#beat = setInterval(() => this.#ping(), heartbeat);
    this.#beat.unref();
  }

  /** @internal */
  async listen(): Promise<void> {
    const { host, port } = this.#settings;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#http.once('error', reject);
        this.#http.listen(port, host, resolve);
      });
    } catch (cause) {
      clearInterval(this.#beat);
      const { message, code } = cause as NodeJS.ErrnoException;
      const text = `cannot listen at port ${port} of ${host}: ${message}. Port 0 is any that is free`;
      throw new IsmioError('ERR_ISMIO_OPEN', text, { errno: code ?? 'UNKNOWN', host, port }, cause);
    }
    this.#port = (this.#http.address() as AddressInfo).port;
    this.#settings.guard.listensAt(this.#port);
  }

  get host(): string {
    return this.#settings.host;
  }

  get port(): number {
    return this.#port;
  }

  /** Pages that are open. */
  get pages(): number {
    return this.#visits.size;
  }

  /** The address of the page for one browser: it has a token for one use, or the one that was given. */
  invite(): string {
    const { host, token, guard } = this.#settings;
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const written = isIP(name) === 6 ? `[${name}]` : name;
    return `http://${written}:${this.#port}/?token=${token ?? guard.invite()}`;
  }

  /** Ends every page and its console. Again: the same. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    clearInterval(this.#beat);
    const closed = [new Promise<unknown>((resolve) => this.#http.close(resolve))];
    for (const [socket, visit] of this.#visits) {
      visit?.close('the server of this page was closed');
      socket.close(closing.away);
      closed.push(endOf(socket));
    }
    this.#http.closeAllConnections();
    await Promise.all(closed);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    const file = this.#files.get(path);
    const { guard } = this.#settings;
    if (!guard.knowsHost(request)) refuse(response, 421, 'This server has another name.');
    else if (request.method !== 'GET') refuse(response, 405, 'This server answers GET alone.');
    else if (!this.#isLetIn(request, response, path, query)) refuse(response, 403, needed);
    else if (file === undefined) refuse(response, 404, 'There is nothing here.');
    else response.writeHead(200, { ...headersOfPage, 'Content-Type': file.type }).end(file.content);
  }

  /** By its cookie, or by a token for the page itself, which makes the cookie. */
  #isLetIn(request: IncomingMessage, response: ServerResponse, path: string, query: string): boolean {
    const { guard } = this.#settings;
    if (guard.isKnown(request)) return true;
    const token = path === '/' ? new URLSearchParams(query).get('token') : null;
    const cookie = token === null ? null : guard.admit(token);
    if (cookie !== null) response.setHeader('Set-Cookie', cookie);
    return cookie !== null;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const { guard, maxPages } = this.#settings;
    const isOurs = request.url === '/socket' && guard.knowsHost(request) && guard.isOwnOrigin(request);
    const isFull = this.#visits.size >= maxPages || this.#closed !== null;
    if (!isOurs || !guard.isKnown(request)) hangUp(socket, '403 Forbidden');
    else if (isFull) hangUp(socket, '503 Service Unavailable');
    else this.#sockets.handleUpgrade(request, socket, head, (page) => void this.#begin(page));
  }

  async #begin(page: WebSocket): Promise<void> {
    this.#visits.set(page, null);
    this.#heard.add(page);
    page.on('error', () => undefined); // 'close' follows
    page.on('pong', () => this.#heard.add(page));
    page.on('close', () => this.#visits.delete(page));
    try {
      const view = await this.#settings.open();
      if (page.readyState === page.OPEN) this.#visits.set(page, new Visit(page, view));
      else view.close();
    } catch (error) {
      const text = `the console cannot be had: ${harmless((error as Error).message)}`;
      page.send(JSON.stringify({ type: 'end', text }));
      page.close(closing.failed);
    }
  }

  /** A page that did not answer the last look has gone without a word. */
  #ping(): void {
    for (const page of this.#visits.keys()) {
      if (this.#heard.delete(page)) page.ping();
      else page.terminate();
    }
  }
}

const needed =
  'This page is for whoever has a token: take the address that the server printed. Each is for one use, so ask for a new one ' +
  'where it was used before.';

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { ...headersOfPage, 'Content-Type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}

/** A page that does not close its end in a second has it closed. */
async function endOf(socket: WebSocket): Promise<void> {
  const late = setTimeout(() => socket.terminate(), 1000);
  await once(socket, 'close');
  clearTimeout(late);
}

function hangUp(socket: Duplex, status: string): void {
  const answer = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.end(answer, () => socket.destroy()); // whoever is refused does not keep it open
}

/**
 * Serves the page of a console: a terminal in the browser, for whoever has its address with a token. The console is opened for
 * each page by `open`.
 * @throws IsmioError ERR_ISMIO_OPEN where it cannot listen; ERR_ISMIO_ABORTED
 */
export async function serveConsolePage(options: ConsolePageOptions): Promise<ConsolePageServer> {
  checkOptions(options, names, 'serveConsolePage');
  const signal = checkSignal(options.signal, 'serveConsolePage');
  const server = new ConsolePageServer(checkSettings(options));
  if (signal?.aborted) {
    await server.close();
    throw new IsmioError('ERR_ISMIO_ABORTED', 'the page of the console was aborted', {}, signal.reason);
  }
  await server.listen();
  if (signal !== undefined) onAbort(signal, () => void server.close());
  return server;
}

function checkSettings(options: ConsolePageOptions): PageSettings {
  const { open, host = '127.0.0.1', port = 0, names: given = [], token = null, maxPages = 16 } = options;
  if (open === undefined) throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `open must be a function, not ${shown(open)}`);
  checkCallback(open, 'open');
  checkText(host, 'host');
  if (!Array.isArray(given)) {
    throw typeError('ERR_ISMIO_ARGUMENT_TYPE', `names must be an array of names, not ${shown(given)}`, {
      names: given,
    });
  }
  for (const name of given) checkText(name, 'names');
  if (token !== null) checkToken(token);
  checkBetween(port, 'port', 0, 65_535);
  checkBetween(maxPages, 'maxPages', 1, 1024);
  return { open, host, port, token, maxPages, guard: new Guard(host, given, token) };
}

function checkToken(token: string): void {
  checkText(token, 'token');
  if (/^[\w-]{16,256}$/.test(token)) return;
  const text =
    'token must be 16 to 256 letters, digits, _ or -: it is all that keeps others out, and stands in an address';
  throw rangeError('ERR_ISMIO_OPTION', text, { token });
}
