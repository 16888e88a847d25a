// The serial port of examples/devices: its registers as Linux's 8250 driver tries them, and bytes by its own driver.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { PciDevice } from 'ismio';
import { serial } from '../examples/devices/serial.js';
import { isSerialPort, SerialPort } from '../examples/devices/serial-driver.js';
import { cause, latchMap, uartMap } from '../examples/devices/serial-registers.js';

function opened(shared = serial()): PciDevice {
  const device = shared.open();
  device.enableMemory();
  return device;
}

/** Reads exactly so many bytes. */
async function bytesFrom(stream: Duplex, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  while (got < length) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) await once(stream, 'readable');
    else got += chunks.push(chunk) && chunk.length;
  }
  return Buffer.concat(chunks);
}

test('the port is one that 8250_pci takes: its id, its class, 16550 registers in BAR 0', () => {
  using device = opened();
  assert.deepEqual([device.info.vendor, device.info.device, device.info.classCode], [0x1d0f, 0x8250, 0x070002]);
  assert.equal(device.info.irqs.find(({ name }) => name === 'intx')?.count, 1);
  assert.equal(isSerialPort(device.region(0)), true);
});

// The steps of autoconfig in Linux drivers/tty/serial/8250/8250_port.c.
test('what Linux tries to find a 16550A finds one: interrupt enables, loopback, FIFOs, scratch', () => {
  using device = opened();
  using bar = device.region(0);
  bar.store8(1, 0);
  assert.equal(bar.load8(1) & 0x0f, 0);
  bar.store8(1, 0xff);
  assert.equal(bar.load8(1), 0x0f, 'bits 4 to 7 stay 0: it is no 16750 and no XScale');
  bar.store8(1, 0);
  bar.store8(4, 0x1a);
  assert.equal(bar.load8(6) & 0xf0, 0x90);
  bar.store8(4, 0);
  for (const control of [0x00, 0x80, 0xbf, 0xe0]) {
    bar.store8(3, control);
    bar.store8(2, 0x21);
    assert.equal(
      bar.load8(2),
      0xc1,
      'FIFOs, none of 64 bytes, no register of another kind where the identification is',
    );
    bar.store8(2, 0);
    assert.equal(bar.load8(2), 0x01);
  }
  bar.store8(3, 0);
  for (const value of [0xa5, 0x5a]) {
    bar.store8(7, value);
    assert.equal(bar.load8(7), value);
  }
});

test('the FIFO has 16 bytes: in loopback the 17th is lost, and told', () => {
  using device = opened();
  const { fifoControl, modemControl, transmit, received, lineStatus } = uartMap.on(device.region(0));
  fifoControl.write({ enable: true });
  modemControl.write({ loop: true });
  for (let byte = 0; byte < 20; byte++) transmit.store(byte);
  assert.equal(lineStatus.read().overrun, true);
  assert.equal(lineStatus.read().overrun, false, 'told once');
  const bytes: number[] = [];
  while (lineStatus.read().ready) bytes.push(received.load());
  assert.deepEqual(
    bytes,
    Array.from({ length: 16 }, (_, i) => i),
  );
  fifoControl.write({});
  transmit.store(1);
  transmit.store(2);
  assert.deepEqual([lineStatus.read().overrun, received.load(), lineStatus.read().ready], [true, 1, false]);
});

// serial8250_do_startup tries this before it trusts the interrupt.
test('to enable the interrupt of an empty transmitter raises it each time; to be told of it clears it', () => {
  using device = opened();
  const { interruptEnable, interruptId } = uartMap.on(device.region(0));
  for (let i = 0; i < 3; i++) {
    interruptEnable.write({ empty: true });
    assert.deepEqual([interruptId.load(), interruptId.load()], [cause.empty << 1, 1]);
    interruptEnable.write({});
  }
  interruptEnable.write({ empty: true });
  interruptEnable.write({});
  assert.equal(interruptId.load(), 1, 'what is not enabled is not told');
});

test('interrupts are told by priority: a lost byte, received bytes, an empty transmitter, the modem', () => {
  using device = opened();
  const registers = uartMap.on(device.region(0));
  const { interruptEnable, interruptId, fifoControl, modemControl, transmit, received, lineStatus, modemStatus } =
    registers;
  fifoControl.write({ enable: true });
  modemControl.write({ loop: true, out2: true });
  modemControl.write({ loop: true });
  interruptEnable.write({ received: true, empty: true, line: true, modem: true });
  for (let byte = 0; byte < 17; byte++) transmit.store(byte);
  assert.equal(interruptId.read().id, cause.line);
  lineStatus.load();
  assert.equal(interruptId.read().id, cause.received);
  for (let byte = 0; byte < 16; byte++) received.load();
  assert.equal(interruptId.read().id, cause.empty);
  assert.deepEqual(interruptId.read(), { none: false, id: cause.modem, fifo: 3 });
  assert.equal(modemStatus.read().carrierChanged, true);
  assert.equal(interruptId.read().none, true);
});

test('received bytes interrupt at the trigger, and fewer as a line that went idle', () => {
  for (const [trigger, level] of [1, 4, 8, 14].entries()) {
    using device = opened();
    const { interruptEnable, interruptId, fifoControl, modemControl, transmit, received } = uartMap.on(
      device.region(0),
    );
    fifoControl.write({ enable: true, trigger });
    modemControl.write({ loop: true });
    interruptEnable.write({ received: true });
    for (let held = 1; held <= 16; held++) {
      transmit.store(held);
      assert.equal(interruptId.read().id, held >= level ? cause.received : cause.idle, `${held} of ${level}`);
    }
    for (let held = 15; held >= 0; held--) {
      received.load();
      const { none, id } = interruptId.read();
      assert.deepEqual([none, id], held === 0 ? [true, 0] : [false, held >= level ? cause.received : cause.idle]);
    }
  }
});

test('in loopback the driver sees its own modem lines, and each change of one once', () => {
  using device = opened();
  const { modemControl, modemStatus } = uartMap.on(device.region(0));
  assert.equal(modemStatus.load(), 0xb0, 'somebody is at the other end');
  modemControl.write({ loop: true });
  assert.equal(modemStatus.load(), 0x0b);
  modemControl.write({ loop: true, terminalReady: true, requestToSend: true, out1: true, out2: true });
  assert.equal(modemStatus.load(), 0xfb);
  modemControl.write({ loop: true });
  assert.equal(modemStatus.load(), 0x0f, 'ring is told when it ends');
  assert.equal(modemStatus.load(), 0);
});

test('the divisor is where data and interrupt enables are, while the latch is asked for', () => {
  using device = opened();
  using bar = device.region(0);
  const { lineControl, interruptEnable, lineStatus } = uartMap.on(bar);
  const latch = latchMap.on(bar);
  interruptEnable.write({ line: true });
  lineControl.write({ latch: true, length: 3 });
  latch.low.store(0x0c);
  latch.high.store(0x01);
  assert.deepEqual([latch.low.load(), latch.high.load()], [0x0c, 0x01]);
  lineControl.write({ length: 3 });
  assert.deepEqual([interruptEnable.load(), lineStatus.read().ready], [4, false]);
});

test('places that are no registers read as ones, and stores there do nothing', () => {
  using device = opened();
  using bar = device.region(0);
  bar.store8(5, 0);
  bar.store8(6, 0);
  bar.store32(0, 0x0f0f_0f0f);
  bar.store8(0x100, 1);
  assert.deepEqual([bar.load8(8), bar.load8(0xfff), bar.load16(0), bar.load32(4)], [0xff, 0xff, 0xffff, 0xffff_ffff]);
  assert.deepEqual([bar.load8(1), bar.load8(5)], [0, 0x60]);
});

test('what the driver writes the terminal reads, and the other way round', async () => {
  const shared = serial();
  using device = opened(shared);
  const port = new SerialPort(device);
  port.write('login: ');
  assert.equal((await bytesFrom(shared.terminal, 7)).toString(), 'login: ');
  shared.terminal.write('root\r');
  assert.equal((await bytesFrom(port, 5)).toString(), 'root\r');
  port.destroy();
});

test('no byte of a lot is lost or changes its place, both ways at once', async () => {
  const shared = serial();
  using device = opened(shared);
  const port = new SerialPort(device);
  const [down, up] = [randomBytes(100_000), randomBytes(100_000)];
  port.write(down);
  shared.terminal.write(up);
  const [atTerminal, atPort] = await Promise.all([bytesFrom(shared.terminal, down.length), bytesFrom(port, up.length)]);
  assert.ok(atTerminal.equals(down));
  assert.ok(atPort.equals(up));
  port.destroy();
});

test('a driver waits for a terminal that nobody reads; then all of it is there', async () => {
  const shared = serial();
  using device = opened(shared);
  const port = new SerialPort(device);
  const bytes = randomBytes(300_000);
  let sent = false;
  port.write(bytes, () => {
    sent = true;
  });
  await pause(50);
  assert.equal(sent, false);
  assert.equal(uartMap.on(device.region(0)).lineStatus.read().empty, false);
  assert.ok((await bytesFrom(shared.terminal, bytes.length)).equals(bytes));
  assert.equal(sent, true);
  port.destroy();
});

test('a terminal waits for a driver that does not read', async () => {
  const shared = serial();
  using device = opened(shared);
  const port = new SerialPort(device);
  const bytes = randomBytes(100_000);
  let taken = false;
  shared.terminal.write(bytes, () => {
    taken = true;
  });
  await pause(50);
  assert.equal(taken, false);
  assert.ok((await bytesFrom(port, bytes.length)).equals(bytes));
  assert.equal(taken, true);
  port.destroy();
});

test('bytes wait for a driver that is ready to receive', () => {
  const shared = serial();
  using device = opened(shared);
  const { fifoControl, modemControl, lineStatus, received } = uartMap.on(device.region(0));
  fifoControl.write({ enable: true });
  shared.terminal.write('hi');
  assert.equal(lineStatus.read().ready, false);
  modemControl.write({ loop: true, requestToSend: true });
  assert.equal(lineStatus.read().ready, false, 'in loopback nothing comes by the line');
  modemControl.write({ requestToSend: true });
  assert.deepEqual([lineStatus.read().ready, received.load(), received.load()], [true, 0x68, 0x69]);
  assert.equal(lineStatus.read().ready, false);
});

test('a terminal that ends hangs up: the stream of the driver ends behind its last byte', async () => {
  const shared = serial();
  using device = opened(shared);
  const port = new SerialPort(device);
  shared.terminal.end('bye');
  const chunks: Buffer[] = [];
  for await (const chunk of port) chunks.push(chunk as Buffer);
  assert.equal(Buffer.concat(chunks).toString(), 'bye');
  assert.equal(uartMap.on(device.region(0)).modemStatus.read().dataSetReady, false);
});

test('a driver may be destroyed by whoever reads a byte of it', async () => {
  const shared = serial();
  using device = opened(shared);
  const port = new SerialPort(device);
  port.on('data', () => port.destroy());
  const closed = once(port, 'close');
  shared.terminal.write(randomBytes(1000));
  await closed;
  assert.equal(uartMap.on(device.region(0)).modemControl.load(), 0);
});

test('a port that is taken away leaves a terminal that can be written to', async () => {
  const shared = serial();
  using device = opened(shared);
  const { fifoControl, modemControl, interruptEnable } = uartMap.on(device.region(0));
  fifoControl.write({ enable: true });
  interruptEnable.write({ received: true });
  modemControl.write({ requestToSend: true });
  shared.close();
  shared.terminal.write('anybody?');
  await pause(1);
  assert.equal(shared.terminal.errored, null);
});

test('as a program of its own, the terminal is the standard streams', async () => {
  const at = (name: string) => JSON.stringify(new URL(`../examples/devices/${name}.js`, import.meta.url).href);
  const program = `
    const { default: onThisTerminal } = await import(${at('serial')});
    const { SerialPort } = await import(${at('serial-driver')});
    const port = new SerialPort(onThisTerminal().open());
    port.pipe(port);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    child.stdin.write('hello');
    let echoed = '';
    for await (const chunk of child.stdout) {
      echoed += chunk;
      if (echoed.length >= 5) break;
    }
    assert.equal(echoed, 'hello');
  } finally {
    child.kill('SIGKILL');
  }
});

test('the next driver of a port has its terminal as well, and no byte of the one before', async () => {
  const shared = serial();
  const first = opened(shared);
  const one = new SerialPort(first);
  one.write('one');
  assert.equal((await bytesFrom(shared.terminal, 3)).toString(), 'one');
  one.destroy();
  first.close();
  using second = opened(shared);
  const two = new SerialPort(second);
  two.write('two');
  assert.equal((await bytesFrom(shared.terminal, 3)).toString(), 'two');
  shared.terminal.write('back');
  assert.equal((await bytesFrom(two, 4)).toString(), 'back');
  two.destroy();
});

test('a reset leaves a port as it was at first', () => {
  const shared = serial();
  using device = opened(shared);
  const registers = uartMap.on(device.region(0));
  registers.fifoControl.write({ enable: true });
  registers.modemControl.write({ loop: true });
  registers.interruptEnable.write({ received: true });
  registers.transmit.store(1);
  device.reset();
  device.enableMemory();
  assert.deepEqual(
    [
      registers.interruptId.load(),
      registers.lineStatus.load(),
      registers.interruptEnable.load(),
      registers.modemStatus.load(),
    ],
    [0x01, 0x60, 0, 0xb0],
  );
});
