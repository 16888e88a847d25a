// The page of a console as its tests have it: a server, and what asks it without a browser.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { type ConsolePageOptions, type ConsolePageServer, serveConsolePage } from '../../src/console/web/server.js';
import { FakeConsole } from './console-view.js';

/** A server of one page, or of several that have each a console of their own. */
export async function serverOf(
  t: TestContext,
  open: ConsolePageOptions['open'] = () => new FakeConsole(),
  options: Partial<ConsolePageOptions> = {},
): Promise<ConsolePageServer> {
  const server = await serveConsolePage({ open, ...options });
  t.after(() => server.close());
  return server;
}

export async function ask(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<IncomingMessage> {
  const asked = request(url, { headers, method, agent: false }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.resume();
  return response;
}

/** A browser's cookie, as whoever uses an invitation gets it. */
export async function cookieOf(server: ConsolePageServer): Promise<string> {
  const { headers } = await ask(server.invite());
  return headers['set-cookie']?.[0]?.split(';')[0] as string;
}

export function originOf(server: ConsolePageServer): string {
  return `http://127.0.0.1:${server.port}`;
}

export async function socketOf(server: ConsolePageServer, headers: Record<string, string> = {}): Promise<WebSocket> {
  const given = { Cookie: await cookieOf(server), Origin: originOf(server), ...headers };
  return new WebSocket(`ws://127.0.0.1:${server.port}/socket`, { headers: given });
}

/** A socket that has heard of its console. */
export async function openSocket(server: ConsolePageServer): Promise<WebSocket> {
  const socket = await socketOf(server);
  await once(socket, 'message');
  return socket;
}

export async function statusOf(socket: WebSocket): Promise<number | undefined> {
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  return response.statusCode;
}

/** Waits for what is going to be. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 15_000;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `it did not come to be: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
