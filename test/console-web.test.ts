// The page of a console, in a browser.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { after, before, describe, type TestContext, test } from 'node:test';
import { attachConsole, pipeLine, serveConsoles } from 'ismio/console';
import { createFabric, openIsm } from 'ismio/ism';
import type { Page } from 'playwright-core';
import type { ConsolePageServer } from '../src/console/web/server.js';
import { Browser, noBrowser, type Visit } from './support/browser.js';
import { serverOf, until } from './support/console-page.js';
import { FakeConsole } from './support/console-view.js';

describe('the page', { skip: noBrowser }, () => {
  let browser: Browser;
  before(async () => {
    browser = await Browser.start({ offline: false });
  });
  after(() => browser?.close());

  async function open(t: TestContext, view: FakeConsole): Promise<Visit & { server: ConsolePageServer }> {
    const server = await serverOf(t, () => view);
    const visit = await browser.visit(server.invite());
    t.after(async () => {
      await visit.page.close();
      assert.deepEqual(visit.complaints, []);
    });
    await visit.page.locator('#state[data-state=open]').waitFor();
    return { ...visit, server };
  }

  const rows = (page: Page): Promise<string> => page.locator('.xterm-rows').innerText();
  const bar = (page: Page, id: string): Promise<string | null> => page.locator(`#${id}`).textContent();

  async function shows(page: Page, text: string): Promise<void> {
    await until(async () => (await rows(page)).includes(text));
  }

  test('shows output, and types; the token has gone from its address', async (t) => {
    const view = new FakeConsole({ name: 'lpar 7', echoes: true });
    const { page } = await open(t, view);
    assert.equal(new URL(page.url()).search, '');
    assert.deepEqual(
      [await page.title(), await bar(page, 'name'), await bar(page, 'role')],
      ['lpar 7', 'lpar 7', 'you write'],
    );
    view.say('login: ');
    await shows(page, 'login:');
    await page.keyboard.type('größe 漢');
    await shows(page, 'login: größe 漢');
    await page.keyboard.press('Control+C');
    await until(() => view.asked.some(([, keys]) => keys === '\x03'));
    view.say('\r\n\x1b[1;32mgreen\x1b[0m \x1b[31mred\x1b[0m \x1b[7mreverse\x1b[0m\r\n');
    await shows(page, 'green red reverse');
    const light = await page.evaluate(
      "getComputedStyle(document.querySelector('.xterm-scrollable-element')).backgroundColor",
    );
    await page.emulateMedia({ colorScheme: 'dark' });
    await until(
      async () =>
        (await page.evaluate(
          "getComputedStyle(document.querySelector('.xterm-scrollable-element')).backgroundColor",
        )) !== light,
    );
  });

  test('the size of the console follows the window of whoever writes', async (t) => {
    const view = new FakeConsole();
    const { page } = await open(t, view);
    await until(() => view.asked.length > 0);
    const before = { ...view.size };
    assert.ok(before.columns > 100 && before.rows > 30 && before.xPixels > 900 && before.yPixels > 600);
    await page.setViewportSize({ width: 700, height: 400 });
    await until(() => view.size.columns < before.columns && view.size.rows < before.rows);
    view.say(`${'w'.repeat(view.size.columns)}!`);
    await shows(page, `${'w'.repeat(view.size.columns)}\n!`);
    const count = view.asked.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(view.asked.length, count);
  });

  test('a viewer sees the console in its own size and cannot type, but may take over with a reason', async (t) => {
    const view = new FakeConsole({ role: 'view', columns: 90, rows: 10, echoes: true });
    const { page } = await open(t, view);
    view.say(`${'v'.repeat(90)}!`);
    await shows(page, `${'v'.repeat(90)}\n!`);
    assert.equal(await bar(page, 'role'), 'you view');
    await page.locator('#terminal').click();
    await page.keyboard.type('rm -rf');
    await page.setViewportSize({ width: 700, height: 500 });
    assert.equal(await page.locator('#break').isVisible(), false);
    const isWider = "document.querySelector('#terminal').scrollWidth > 750";
    assert.equal(await page.evaluate(isWider), true);
    await page.locator('#force').click();
    await page.locator('#reason').fill('the disk is full');
    await page.locator('#take').click();
    await until(() => view.asked.length > 1);
    assert.deepEqual(view.asked[0], ['request', 'write', 'the disk is full']);
    assert.equal(view.asked[1]?.[0], 'resize');
    await page.keyboard.type('df');
    await until(() => view.asked.filter(([what]) => what === 'write').length === 2);
    await page.locator('#break').click();
    await until(() => view.asked.some(([what]) => what === 'break'));
    await page.locator('#view').click();
    await page.locator('#write').waitFor();
    await page.locator('#write').click();
    await page.locator('#view').waitFor();
    assert.deepEqual(view.asked.filter(([what]) => what === 'request').slice(1), [
      ['request', 'view', undefined],
      ['request', 'write', undefined],
    ]);
  });

  test('tells in its bar what becomes of the console', async (t) => {
    const view = new FakeConsole({ name: '\x1b]0;evil\x07<img src=x onerror=alert(1)>' });
    const { page, server } = await open(t, view);
    assert.equal(await bar(page, 'name'), '\\u001b]0;evil\\u0007<img src=x onerror=alert(1)>');
    view.say('half an escape \x1b[3');
    view.lose(123_456n);
    view.say('4m? no: plain');
    await shows(page, 'half an escape 4m? no: plain');
    assert.equal(await bar(page, 'told'), '123,456 bytes are missing here');
    view.emit('state', 'lost');
    await page.locator('#state[data-state=lost]').waitFor();
    assert.equal(await page.locator('button:visible').count(), 0);
    view.emit('state', 'connecting');
    await page.locator('#state[data-state=connecting]').waitFor();
    view.emit('state', 'open');
    await page.locator('#state[data-state=open]').waitFor();
    view.emit('screen', Buffer.from('a screen that is new'), 0n);
    await shows(page, 'a screen that is new');
    assert.doesNotMatch(await rows(page), /plain/);
    view.role = 'view';
    view.emit('role', 'view', 'operator 2 took over: \x07');
    await until(async () => (await bar(page, 'role')) === 'you view');
    assert.equal(await bar(page, 'told'), 'operator 2 took over: \\u0007');
    view.emit('exit', { status: 3, signal: null });
    await until(async () => (await bar(page, 'told')) === 'the command ended with status 3');
    await server.close();
    await until(async () => (await bar(page, 'told')) === 'the server of this page was closed');
    assert.equal(await bar(page, 'state'), 'ended');
  });

  test('a page that cannot be told fast enough loses its line, which is made anew', async (t) => {
    const view = new FakeConsole({ echoes: true });
    const { page } = await open(t, view);
    view.say('before');
    await shows(page, 'before');
    for (let notice = 0; notice < 16; notice++) view.emit('notice', 'n'.repeat(2 ** 20));
    await until(() => view.asked.at(-1)?.[0] === 'close'); // the page may have its next line before anybody sees it without one
    await until(() => view.listenerCount('data') > 0);
    await page.locator('#state[data-state=open]').waitFor();
    view.say('behind');
    await shows(page, 'behind');
    await page.keyboard.type('!');
    await shows(page, 'behind!');
  });

  test('shows 20 MiB at full speed, and the end of it', async (t) => {
    const view = new FakeConsole();
    const { page } = await open(t, view);
    const line = `${'0123456789'.repeat(7)}\r\n`;
    const block = Buffer.from(line.repeat(14_563));
    for (let round = 0; round < 20; round++) {
      view.say(block);
      await new Promise((resolve) => setImmediate(resolve));
    }
    view.say('the end');
    await shows(page, 'the end');
    assert.match((await bar(page, 'told')) as string, /^[\d,]+ bytes are missing here$|^$/);
  });

  test('shows a console of another function to two pages, of which one writes', async (t) => {
    const fabric = createFabric();
    const [near, far] = [await openIsm(fabric.function().open()), await openIsm(fabric.function().open())];
    const [output, keys] = [new PassThrough(), new PassThrough()];
    keys.on('data', (bytes: Buffer) => output.write(`<${bytes}>`));
    const consoles = await serveConsoles(far, { consoles: [{ name: 'demo', line: pipeLine(output, keys) }] });
    const server = await serverOf(t, () => attachConsole(near, far.gid));
    const first = await browser.visit(server.invite());
    await first.page.locator('#state[data-state=open]').waitFor();
    await first.page.keyboard.type('a');
    await shows(first.page, '<a>');
    const second = await browser.visit(`http://127.0.0.1:${server.port}/`); // the same browser: it has the cookie
    await shows(second.page, '<a>');
    assert.equal(await bar(second.page, 'role'), 'you view');
    await second.page.locator('#force').click();
    await second.page.locator('#reason').fill('night shift');
    await second.page.locator('#take').click();
    await until(async () => ((await bar(first.page, 'told')) ?? '').endsWith('night shift'));
    assert.equal(await bar(first.page, 'role'), 'you view');
    await second.page.locator('#view').waitFor();
    await first.page.keyboard.type('x');
    await second.page.keyboard.type('b');
    for (const { page } of [first, second]) await shows(page, '<a><b>');
    for (const { page } of [first, second]) await page.close();
    await until(() => server.pages === 0);
    await server.close();
    consoles.close();
    for (const driver of [near, far]) driver.close();
    assert.deepEqual([...first.complaints, ...second.complaints], []);
  });

  test('a page of another port of this machine, whose requests carry the cookie, gets no socket and no page', async (t) => {
    const { page, server } = await open(t, new FakeConsole());
    const other = createServer((_request, response) => response.end('<!doctype html>other')).listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const evil = await browser.visit(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
    t.after(() => evil.page.close());
    const opened = await evil.page.evaluate(
      `new Promise((resolve) => {
        const socket = new WebSocket('ws://127.0.0.1:${server.port}/socket');
        socket.onopen = () => resolve(true);
        socket.onerror = () => resolve(false);
      })`,
    );
    assert.equal(opened, false);
    assert.equal(server.pages, 1);
    assert.equal(await bar(page, 'state'), 'open');
  });
});
